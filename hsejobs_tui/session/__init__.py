"""What a screen may ask for, and how it asks for another one."""
