"""Where deliveries come from: drop folders and Clever, arrival, landing, and what was taken."""
