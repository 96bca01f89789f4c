/* What the programs of the load benchmark share: sockets with buffers, WebSocket framing (RFC 6455), base64, the little
 * of JSON they need, and mu-law (ITU-T G.711, in the arithmetic of G.191). One thread each, Linux, loopback.
 *
 * A socket keeps no memory of its own unless a message is cut in two or the peer does not read: the figures for memory
 * per call are then those of the bridge's own work. Define WS_TLS before including this for links over OpenSSL. */
#ifndef PATCHBAY_LOAD_WS_H
#define PATCHBAY_LOAD_WS_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#ifdef WS_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

#define UNUSED __attribute__((unused))
#define SECOND 1000000000ull
#define MILLISECOND 1000000ull

enum { OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum { WS_HEADROOM = 14, WS_LARGEST = 1 << 20, SCRATCH_BYTES = 2 << 20 };

static UNUSED uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static UNUSED _Noreturn void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* Ends with the program that started it, takes as many descriptors as it may, and survives a peer that went away. */
static UNUSED void prepare_process(void) {
    struct rlimit limit;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* MARK: Bytes that wait */

struct bytes {
    uint8_t *data;
    size_t length, capacity;
};

static UNUSED void bytes_append(struct bytes *b, const void *data, size_t length) {
    if (b->length + length > b->capacity) {
        b->capacity = (b->length + length) * 2;
        b->data = realloc(b->data, b->capacity);
        if (!b->data) die("realloc");
    }
    memcpy(b->data + b->length, data, length);
    b->length += length;
}

static UNUSED void bytes_free(struct bytes *b) {
    free(b->data);
    memset(b, 0, sizeof *b);
}

/* MARK: Sockets */

struct link {
    int fd;
    bool watched;
    uint32_t interest;
    struct bytes in, out;
#ifdef WS_TLS
    SSL *tls;
#endif
};

/* Where every read ends up; what is left over of it goes to `link.in`. */
static UNUSED uint8_t scratch[SCRATCH_BYTES];

static UNUSED void set_options(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static UNUSED struct sockaddr_in loopback(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static UNUSED int listen_on(int port) {
    struct sockaddr_in a = loopback(port);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 1024) < 0) die("listen");
    return fd;
}

/* A connection that is under way, or -1. */
static UNUSED int connect_to(int port) {
    struct sockaddr_in a = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    set_options(fd);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

static UNUSED void link_watch(struct link *l, int epoll, uint32_t interest, void *owner) {
    struct epoll_event e = {.events = interest, .data.ptr = owner};
    if (l->watched && l->interest == interest) return;
    if (epoll_ctl(epoll, l->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, l->fd, &e) < 0) die("epoll_ctl");
    l->watched = true;
    l->interest = interest;
}

static UNUSED void link_close(struct link *l) {
#ifdef WS_TLS
    if (l->tls) SSL_free(l->tls);
    l->tls = NULL;
#endif
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
    l->watched = false;
    bytes_free(&l->in);
    bytes_free(&l->out);
}

/* How many bytes were read or written, 0 if it would block, -1 if the connection is at its end. */
static UNUSED ssize_t link_io(struct link *l, bool writes, void *data, size_t length) {
#ifdef WS_TLS
    if (l->tls) {
        ERR_clear_error();
        int n = writes ? SSL_write(l->tls, data, (int)length) : SSL_read(l->tls, data, (int)length);
        if (n > 0) return n;
        int error = SSL_get_error(l->tls, n);
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
#endif
    ssize_t n = writes ? send(l->fd, data, length, MSG_NOSIGNAL) : recv(l->fd, data, length, 0);
    if (n > 0) return n;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 0;
    return -1;
}

/* Sends at once what the kernel takes and keeps the rest; false if the connection is at its end. */
static UNUSED bool link_send(struct link *l, void *data, size_t length) {
    ssize_t n = 0;
    if (l->out.length == 0) {
        n = link_io(l, true, data, length);
        if (n < 0) return false;
    }
    if ((size_t)n < length) bytes_append(&l->out, (uint8_t *)data + n, length - (size_t)n);
    return true;
}

/* Sends what waits. */
static UNUSED bool link_flush(struct link *l) {
    while (l->out.length > 0) {
        ssize_t n = link_io(l, true, l->out.data, l->out.length);
        if (n < 0) return false;
        if (n == 0) return true;
        memmove(l->out.data, l->out.data + n, l->out.length - (size_t)n);
        l->out.length -= (size_t)n;
    }
    bytes_free(&l->out);
    return true;
}

/* Puts into `scratch` what an earlier read left over and what has come since; `closed` if the peer is gone. */
static UNUSED size_t link_fill(struct link *l, bool *closed) {
    size_t length = l->in.length;
    *closed = false;
    if (length > 0) memcpy(scratch, l->in.data, length);
    l->in.length = 0;
    for (;;) {
        size_t room = sizeof scratch - length;
        if (room == 0) break;
        ssize_t n = link_io(l, false, scratch + length, room < 65536 ? room : 65536);
        if (n < 0) *closed = true;
        if (n <= 0) break;
        length += (size_t)n;
#ifdef WS_TLS
        if (l->tls) continue; /* what OpenSSL has decrypted already raises no event */
#endif
        if (n < 65536) break;
    }
    return length;
}

/* Keeps what could not be used yet. */
static UNUSED void link_keep(struct link *l, const uint8_t *rest, size_t length) {
    if (length > 0) bytes_append(&l->in, rest, length);
    else if (l->in.data) bytes_free(&l->in);
}

/* MARK: Random bits: for masks and identifiers, not for secrets */

static UNUSED uint64_t random_bits(void) {
    static uint64_t state;
    if (state == 0) state = (now_ns() * 2654435761u ^ (uint64_t)getpid() << 32) | 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* MARK: Base64 */

static UNUSED const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static UNUSED char base64_pairs[4096][2];
static UNUSED uint32_t base64_values[4][256]; /* by place; the highest bit says that it is no digit */

static UNUSED void base64_prepare(void) {
    for (int i = 0; i < 4096; i++) {
        base64_pairs[i][0] = base64_alphabet[i >> 6];
        base64_pairs[i][1] = base64_alphabet[i & 63];
    }
    memset(base64_values, 0xFF, sizeof base64_values);
    for (uint32_t i = 0; i < 64; i++)
        for (int place = 0; place < 4; place++)
            base64_values[place][(uint8_t)base64_alphabet[i]] = i << (18 - 6 * place);
}

/* Writes 4 characters for 3 bytes, with padding; returns how many. */
static UNUSED size_t base64_encode(const uint8_t *from, size_t length, char *to) {
    char *start = to;
    for (; length >= 3; length -= 3, from += 3, to += 4) {
        uint32_t v = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        memcpy(to, base64_pairs[v >> 12], 2);
        memcpy(to + 2, base64_pairs[v & 4095], 2);
    }
    if (length > 0) {
        uint32_t v = (uint32_t)from[0] << 16 | (length == 2 ? (uint32_t)from[1] << 8 : 0);
        memcpy(to, base64_pairs[v >> 12], 2);
        to[2] = length == 2 ? base64_alphabet[v >> 6 & 63] : '=';
        to[3] = '=';
        to += 4;
    }
    return (size_t)(to - start);
}

/* Returns the number of bytes, or -1 for what is no base64. */
static UNUSED ssize_t base64_decode(const char *text, size_t length, uint8_t *to) {
    const uint8_t *from = (const uint8_t *)text;
    uint8_t *start = to;
    uint32_t bad = 0;
    while (length > 0 && from[length - 1] == '=') length--;
    for (; length >= 4; length -= 4, from += 4, to += 3) {
        uint32_t v = base64_values[0][from[0]] | base64_values[1][from[1]] | base64_values[2][from[2]]
            | base64_values[3][from[3]];
        bad |= v;
        to[0] = (uint8_t)(v >> 16);
        to[1] = (uint8_t)(v >> 8);
        to[2] = (uint8_t)v;
    }
    if (length == 1) return -1;
    if (length > 1) {
        uint32_t v = base64_values[0][from[0]] | base64_values[1][from[1]]
            | (length == 3 ? base64_values[2][from[2]] : 0);
        bad |= v;
        *to++ = (uint8_t)(v >> 16);
        if (length == 3) *to++ = (uint8_t)(v >> 8);
    }
    return bad >> 31 ? -1 : to - start;
}

/* MARK: SHA-1, for the handshake alone */

static UNUSED void sha1(const uint8_t *data, size_t length, uint8_t digest[20]) {
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    size_t total = (length + 8) / 64 * 64 + 64;
    for (size_t block = 0; block < total; block += 64) {
        uint32_t w[80];
        for (size_t i = 0; i < 64; i++) {
            size_t at = block + i;
            uint8_t byte = at < length ? data[at] : at == length ? 0x80 : 0;
            if (at >= total - 8) byte = (uint8_t)((uint64_t)length * 8 >> 8 * (total - 1 - at));
            w[i / 4] = (i % 4 == 0 ? 0 : w[i / 4]) << 8 | byte;
        }
        for (int i = 16; i < 80; i++) {
            uint32_t v = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
            w[i] = v << 1 | v >> 31;
        }
        uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 80; i++) {
            uint32_t f, k;
            if (i < 20) f = (b & c) | (~b & d), k = 0x5A827999;
            else if (i < 40) f = b ^ c ^ d, k = 0x6ED9EBA1;
            else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
            else f = b ^ c ^ d, k = 0xCA62C1D6;
            uint32_t t = (a << 5 | a >> 27) + f + e + k + w[i];
            e = d, d = c, c = b << 30 | b >> 2, b = a, a = t;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* MARK: WebSocket */

struct frame {
    int opcode;
    uint8_t *payload;
    size_t length;
};

static UNUSED void ws_mask(uint8_t *data, size_t length, uint32_t key) {
    uint64_t wide = (uint64_t)key << 32 | key;
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t v;
        memcpy(&v, data + i, 8);
        v ^= wide;
        memcpy(data + i, &v, 8);
    }
    for (; i < length; i++) data[i] ^= (uint8_t)(key >> 8 * (i % 4));
}

/* Takes one frame off the front and unmasks it in place: the bytes it takes, 0 if it is not there yet, -1 if it is
 * malformed or fragmented (nobody in this benchmark has reason to fragment). */
static UNUSED ssize_t ws_parse(uint8_t *data, size_t available, bool masked, struct frame *f) {
    if (available < 2) return 0;
    size_t header = 2, length = data[1] & 0x7F;
    if (!(data[0] & 0x80) || (data[0] & 0x70) || (data[1] >> 7) != masked) return -1;
    if (length == 126) {
        if (available < 4) return 0;
        length = (size_t)data[2] << 8 | data[3];
        header = 4;
    } else if (length == 127) {
        if (available < 10) return 0;
        length = 0;
        for (int i = 2; i < 10; i++) length = length << 8 | data[i];
        header = 10;
    }
    if (length > WS_LARGEST) return -1;
    if (available < header + (masked ? 4 : 0) + length) return 0;
    uint32_t key = 0;
    if (masked) {
        memcpy(&key, data + header, 4);
        header += 4;
        ws_mask(data + header, length, key);
    }
    *f = (struct frame){data[0] & 0x0F, data + header, length};
    return (ssize_t)(header + length);
}

/* Sends a payload that has WS_HEADROOM bytes of room before it; a masked payload is overwritten. */
static UNUSED bool ws_send(struct link *l, int opcode, uint8_t *payload, size_t length, bool masked) {
    uint8_t *start = payload;
    uint8_t mask = masked ? 0x80 : 0;
    if (masked) {
        uint32_t key = (uint32_t)random_bits();
        ws_mask(payload, length, key);
        start -= 4;
        memcpy(start, &key, 4);
    }
    if (length < 126) {
        *--start = mask | (uint8_t)length;
    } else if (length < 65536) {
        start -= 3;
        start[0] = mask | 126, start[1] = (uint8_t)(length >> 8), start[2] = (uint8_t)length;
    } else {
        start -= 9;
        start[0] = mask | 127;
        for (int i = 0; i < 8; i++) start[1 + i] = (uint8_t)((uint64_t)length >> (56 - 8 * i));
    }
    *--start = 0x80 | (uint8_t)opcode;
    return link_send(l, start, (size_t)(payload - start) + length);
}

static UNUSED bool ws_send_text(struct link *l, const char *text, bool masked) {
    uint8_t buffer[WS_HEADROOM + 4096];
    size_t length = strlen(text);
    if (length > 4096) return false;
    memcpy(buffer + WS_HEADROOM, text, length);
    return ws_send(l, OP_TEXT, buffer + WS_HEADROOM, length, masked);
}

/* A pong for a ping, a close for a close. */
static UNUSED bool ws_answer(struct link *l, const struct frame *f, bool masked) {
    uint8_t buffer[WS_HEADROOM + 125];
    size_t length = f->length <= 125 ? f->length : 125;
    if (f->opcode == OP_CLOSE && length > 2) length = 2;
    memcpy(buffer + WS_HEADROOM, f->payload, length);
    return ws_send(l, f->opcode == OP_PING ? OP_PONG : OP_CLOSE, buffer + WS_HEADROOM, length, masked);
}

static UNUSED bool ws_send_close(struct link *l, bool masked) {
    uint8_t buffer[WS_HEADROOM + 2];
    buffer[WS_HEADROOM] = 1000 >> 8, buffer[WS_HEADROOM + 1] = 1000 & 0xFF;
    return ws_send(l, OP_CLOSE, buffer + WS_HEADROOM, 2, masked);
}

/* The value of a header in a head that ends with a zero byte. */
static UNUSED bool http_header(const char *head, const char *name, char *value, size_t capacity) {
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, length) != 0 || line[length] != ':') continue;
        const char *from = line + length + 1;
        from += strspn(from, " \t");
        size_t size = strcspn(from, "\r\n");
        if (size >= capacity) return false;
        memcpy(value, from, size);
        value[size] = 0;
        return true;
    }
    return false;
}

static UNUSED void ws_accept(const char *key, char accept[29]) {
    char text[128];
    uint8_t digest[20];
    snprintf(text, sizeof text, "%.60s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    sha1((uint8_t *)text, strlen(text), digest);
    accept[base64_encode(digest, 20, accept)] = 0;
}

/* The length of the head at the front of `data`, which gets a zero byte as its end; 0 if incomplete, -1 if too long. */
static UNUSED ssize_t http_head(uint8_t *data, size_t length) {
    uint8_t *end = memmem(data, length, "\r\n\r\n", 4);
    if (!end) return length > 16384 ? -1 : 0;
    end[2] = 0;
    return end + 4 - data;
}

/* The server's half of the handshake, for a head of `http_head`. */
static UNUSED bool ws_upgrade(struct link *l, const char *head) {
    char key[64], accept[29], answer[256];
    if (strncmp(head, "GET ", 4) != 0 || !http_header(head, "Sec-WebSocket-Key", key, sizeof key)) return false;
    ws_accept(key, accept);
    int n = snprintf(
        answer, sizeof answer,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n",
        accept);
    return link_send(l, answer, (size_t)n);
}

/* The client's half: what it sends, and what it expects back. */
static UNUSED bool ws_request(struct link *l, const char *host, const char *path, char accept[29]) {
    char key[25], request[4096];
    uint64_t bits[2] = {random_bits(), random_bits()};
    key[base64_encode((uint8_t *)bits, 16, key)] = 0;
    ws_accept(key, accept);
    int n = snprintf(
        request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n",
        path, host, key);
    return n < (int)sizeof request && link_send(l, request, (size_t)n);
}

static UNUSED bool ws_accepted(const char *head, const char *accept) {
    char value[64];
    return strncmp(head, "HTTP/1.1 101", 12) == 0 && http_header(head, "Sec-WebSocket-Accept", value, sizeof value)
        && strcmp(value, accept) == 0;
}

/* MARK: JSON: the string that follows a key, as it stands in the text */

struct text {
    const char *start;
    size_t length;
};

static UNUSED bool json_string(const uint8_t *data, size_t length, const char *quoted_key, struct text *value) {
    const char *end = (const char *)data + length;
    size_t key_length = strlen(quoted_key);
    for (const char *at = (const char *)data; (at = memmem(at, (size_t)(end - at), quoted_key, key_length));) {
        at += key_length;
        const char *p = at;
        while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
        if (p == end || *p++ != ':') continue;
        while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
        if (p == end || *p++ != '"') continue;
        const char *close = memchr(p, '"', (size_t)(end - p));
        if (!close) return false;
        *value = (struct text){p, (size_t)(close - p)};
        return true;
    }
    return false;
}

static UNUSED bool text_is(struct text t, const char *word) {
    return t.length == strlen(word) && memcmp(t.start, word, t.length) == 0;
}

/* Decodes a base64 string of JSON, in which a slash may stand as "\/". */
static UNUSED ssize_t json_base64(struct text t, uint8_t *to) {
    if (!memchr(t.start, '\\', t.length)) return base64_decode(t.start, t.length, to);
    char *plain = malloc(t.length);
    size_t n = 0;
    if (!plain) die("malloc");
    for (size_t i = 0; i < t.length; i++)
        if (t.start[i] != '\\') plain[n++] = t.start[i];
    ssize_t size = base64_decode(plain, n, to);
    free(plain);
    return size;
}

/* MARK: Mu-law */

static UNUSED int16_t mulaw_values[256];
static UNUSED uint8_t mulaw_codes[1 << 14]; /* by the upper 14 bits of a sample */

static UNUSED void mulaw_prepare(void) {
    for (int code = 0; code < 256; code++) {
        int inverted = ~code & 0xFF, segment = inverted >> 4 & 7;
        int magnitude = (((inverted & 15) << 1 | 33) << segment) - 33;
        mulaw_values[code] = (int16_t)((inverted & 0x80 ? -magnitude : magnitude) * 4);
    }
    for (int i = 0; i < 1 << 14; i++) {
        int x = i >= 1 << 13 ? i - (1 << 14) : i;
        int m = (x < 0 ? ~x : x) + 33;
        if (m > 8191) m = 8191;
        int segment = 31 - __builtin_clz((unsigned)m) - 5;
        mulaw_codes[i] = (uint8_t)~((x < 0 ? 0x80 : 0) | segment << 4 | (m >> (segment + 1) & 15));
    }
}

static UNUSED uint8_t mulaw_encode(int16_t sample) { return mulaw_codes[(uint16_t)sample >> 2]; }

#endif
