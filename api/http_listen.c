// The listening socket.
#include "api/http_internal.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

// "HOST:PORT", "[V6]:PORT" or ":PORT" into its halves; brackets are taken off.
static int split(const char *text, const char *flag, char host[64], char port[8], struct error *err)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    char *end;
    long number = colon ? strtol(colon + 1, &end, 10) : -1;

    if (!colon || colon[1] < '0' || colon[1] > '9' || *end != '\0' || number < 0 || number > 65535)
        return error_set(err, ERROR_INVALID, flag, "%s: must be HOST:PORT", text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (length >= 64)
        return error_set(err, ERROR_INVALID, flag, "%s: the host is too long", text);
    memcpy(host, text, length);
    host[length] = '\0';
    snprintf(port, 8, "%ld", number);
    return 0;
}

static bool is_loopback(const struct sockaddr *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;

    if (address->sa_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static int bind_to(const struct addrinfo *found, const char *text, const char *flag, int *out_fd,
                   struct error *err)
{
    int one = 1, fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return error_set(err, ERROR_INTERNAL, flag, "%s: %s", text, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        error_set(err, ERROR_INTERNAL, flag, "%s: %s", text, strerror(errno));
        close(fd);
        return -ERROR_INTERNAL;
    }
    *out_fd = fd;
    return 0;
}

static int bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    char port[8] = "0";

    if (getsockname(fd, (struct sockaddr *)&address, &length) == 0)
        getnameinfo((struct sockaddr *)&address, length, NULL, 0, port, sizeof(port),
                    NI_NUMERICSERV);
    return (int)strtol(port, NULL, 10);
}

// As in a Host header: IPv6 in brackets, a missing host as the address of this machine.
static void name_host(char out[64], const char *host, const struct addrinfo *found)
{
    if (*host == '\0')
        snprintf(out, 64, "127.0.0.1");
    else if (found->ai_family == AF_INET6 && strchr(host, ':'))
        snprintf(out, 64, "[%.61s]", host);
    else
        snprintf(out, 64, "%s", host);
}

int http_listen(const char *text, const char *flag, bool anywhere, char out_host[64], int *out_port,
                int *out_fd, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    char host[64], port[8];
    int result = split(text, flag, host, port, err);

    if (result < 0)
        return result;
    result = getaddrinfo(*host ? host : "0.0.0.0", port, &hints, &found);
    if (result != 0)
        return error_set(err, ERROR_INVALID, flag, "%s: %s", text, gai_strerror(result));
    if (!anywhere && !is_loopback(found->ai_addr))
        result =
            error_set(err, ERROR_INVALID, flag,
                      "%s is reachable from other machines: that needs --allowed-host NAME", text);
    else
        result = bind_to(found, text, flag, out_fd, err);
    if (result == 0) {
        name_host(out_host, host, found);
        *out_port = bound_port(*out_fd);
    }
    freeaddrinfo(found);
    return result;
}

int http_listen_check(const char *listen, const char *flag, const char *const *allowed_hosts,
                      struct error *err)
{
    char host[64];
    int port, fd;
    int result =
        http_listen(listen, flag, allowed_hosts && allowed_hosts[0], host, &port, &fd, err);

    if (result == 0)
        close(fd);
    return result;
}
