"""Teaching on another machine: labels and, if need be, the model are sent there, and what was learnt comes home."""
