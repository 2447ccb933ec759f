"""What ``make bench`` measures: ours against a floor and a peer, side by side, one file per row or pair of rows."""
