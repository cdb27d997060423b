"""What surrounds a campaign: rendered and operated from outside, never imported by the bench."""
