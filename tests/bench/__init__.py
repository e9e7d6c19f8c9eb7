"""What nights and pages cost: `make bench`. No tests: times are of one day and machine, so read them as ratios."""
