builtins.splitVersion "1.2.3pre-4..x5"
