builtins.fromJSON ''{ "a": [1, -1.5, true, null, "xé"], "b": {"c": {}} }''
