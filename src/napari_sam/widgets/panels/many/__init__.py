"""Many objects at once: what they are made of, and the tempo in which each prompt is one."""
