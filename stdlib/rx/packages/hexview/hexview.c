/* Standard input as bytes and characters, sixteen a line. */
#include <ctype.h>
#include <stdio.h>

int main(void)
{
    unsigned char bytes[16];
    unsigned long at = 0;
    size_t count;
    while ((count = fread(bytes, 1, sizeof bytes, stdin)) > 0) {
        printf("%08lx  ", at);
        for (size_t i = 0; i < sizeof bytes; i++)
            if (i < count)
                printf("%02x ", bytes[i]);
            else
                fputs("   ", stdout);
        fputs("  ", stdout);
        for (size_t i = 0; i < count; i++)
            putchar(isprint(bytes[i]) ? bytes[i] : '.');
        putchar('\n');
        at += count;
    }
    return 0;
}
