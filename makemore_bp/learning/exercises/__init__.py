"""The lecture's exercises as files, and how far a learner has come with them."""
