builtins.traceVerbose (throw "not looked at") 5
