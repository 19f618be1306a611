/* greet LANGUAGE NAME */
#include <greet.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    char text[256];
    if (argc != 3) {
        fprintf(stderr, "usage: greet LANGUAGE NAME\n");
        return 2;
    }
    greet(text, sizeof text, argv[1], argv[2]);
    puts(text);
    return 0;
}
