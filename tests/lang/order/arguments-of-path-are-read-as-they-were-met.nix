builtins.path { recursive = throw "second"; name = throw "first"; }
