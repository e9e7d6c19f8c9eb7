"""What is deployed. One module, one flow; each reads as the recipe of its steps and uses tasks only."""
