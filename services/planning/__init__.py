"""What is stored, compared with what came: the changes of each school."""
