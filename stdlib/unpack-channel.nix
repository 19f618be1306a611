# <nix/unpack-channel.nix>: an archive with one entry as a directory with one entry, named after the channel.
{
  # The name of the derivation.
  name ? channelName,
  # What the entry is to be called.
  channelName,
  # The archive: a tar file, compressed or not, or a zip file.
  src,
}:
derivation {
  inherit name channelName src;
  system = "builtin";
  builder = "builtin:unpack-channel";
  preferLocalBuild = true;
}
