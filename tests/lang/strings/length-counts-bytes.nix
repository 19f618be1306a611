builtins.stringLength "aé"
