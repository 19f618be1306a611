builtins.unsafeDiscardStringContext "a"
