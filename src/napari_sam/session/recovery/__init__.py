"""Getting work back that the journal knows: offered when its image is opened, restored into a labels layer."""
