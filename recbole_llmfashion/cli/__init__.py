"""Every command, one file each; a command imports what it needs when it is called."""
