builtins.split "((a)|b)+" "ab-ba"
