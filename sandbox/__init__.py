"""What Rollcall is tried out on: invented districts of any size, faults to plant in them, and the sample districts."""
