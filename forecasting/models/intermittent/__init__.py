"""Models of demand with many zeros: Croston, SBA, TSB, ADIDA, IMAPA."""
