# What is set.
{
  title = "Snails";
  pages.garden = {
    title = "Garden snails";
    text = "They like rain.";
  };
  pages.sea.title = "Sea snails";
}
