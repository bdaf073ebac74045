"""Every object of a plane at once: found, looked over, and written as one step."""
