"""Everything in many images, stacks and large planes: tasks, done here or on other machines, then one merge."""
