builtins.addErrorContext 1 (throw "core")
