"""Every object of a stack: looked for plane by plane, linked, and written as one step."""
