builtins.getEnv "RX_TEST_SURELY_NOT_SET"
