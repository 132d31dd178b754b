"""Videos like another one."""
