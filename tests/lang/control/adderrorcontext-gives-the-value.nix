builtins.addErrorContext (throw "unused") 5
