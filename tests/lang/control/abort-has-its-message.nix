abort "my message"
