builtins.addErrorContext "while testing" (throw "core")
