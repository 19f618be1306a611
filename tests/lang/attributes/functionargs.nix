builtins.functionArgs ({ a, b ? 1, c ? throw "never", ... }: a)
