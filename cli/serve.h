// `mockcloud serve`: the server.
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

// argv[0] is "serve" or the program's name before it was cut off; returns the exit code: 0 after a
// clean shutdown, 1 when it cannot run, 2 for wrong flags.
int serve_main(int argc, char **argv);

#endif
