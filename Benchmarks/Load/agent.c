/* A stand-in for the ElevenLabs Agents WebSocket: it answers every upgrade, announces its formats, returns each chunk
 * of the caller's audio as an `audio` event at once and pings every two seconds. One thread, 127.0.0.1.
 *
 * usage: agent --port P [--format ulaw_8000|pcm_16000] [--tls CERTIFICATE KEY] [--tool NAME] [--break-every N]
 *
 * --tool         says what it heard, answers, and calls this tool without arguments, a fifth of a second into each
 *                conversation.
 * --break-every  of every Nth conversation the socket just closes, a third of a second into it. */
#define _GNU_SOURCE
#define WS_TLS
#include "ws.h"
#include <sys/timerfd.h>

enum { LARGEST_CHUNK = WS_LARGEST, PING_SECONDS = 2, TOOL_CHUNK = 10, BREAK_CHUNK = 17 };

struct peer {
    struct link link;
    bool open, dead;
    uint64_t next_ping;
    unsigned pings, chunks;
    bool breaks;
    struct peer *next, *previous;
};

static struct peer peers = {.next = &peers, .previous = &peers};
static int epoll;
static SSL_CTX *tls;
static const char *format = "ulaw_8000";
static const char *tool;
static unsigned conversations, break_every;
static uint8_t message[WS_HEADROOM + LARGEST_CHUNK + 256];

static void announce(struct peer *p) {
    char text[512];
    snprintf(
        text, sizeof text,
        "{\"type\":\"conversation_initiation_metadata\",\"conversation_initiation_metadata_event\":{"
        "\"conversation_id\":\"conv_%016llx\",\"agent_output_audio_format\":\"%s\","
        "\"user_input_audio_format\":\"%s\"}}",
        (unsigned long long)random_bits(), format, format);
    if (!ws_send_text(&p->link, text, false)) p->dead = true;
}

static void call_tool(struct peer *p) {
    char text[512];
    static const char heard[] = "{\"type\":\"user_transcript\",\"user_transcription_event\":{\"user_transcript\":"
                                "\"Are you open on Monday?\",\"event_id\":1}}";
    static const char said[] = "{\"type\":\"agent_response\",\"agent_response_event\":{\"agent_response\":"
                               "\"One moment, I will look.\",\"event_id\":1}}";
    snprintf(
        text, sizeof text,
        "{\"type\":\"client_tool_call\",\"client_tool_call\":{\"tool_name\":\"%.64s\",\"tool_call_id\":\"call_%016llx\","
        "\"parameters\":{}}}",
        tool, (unsigned long long)random_bits());
    if (!ws_send_text(&p->link, heard, false) || !ws_send_text(&p->link, said, false)
        || !ws_send_text(&p->link, text, false))
        p->dead = true;
}

static void echo(struct peer *p, struct text chunk) {
    p->chunks++;
    if (tool && p->chunks == TOOL_CHUNK) call_tool(p);
    if (p->breaks && p->chunks == BREAK_CHUNK) p->dead = true;
    if (p->dead) return;
    static const char head[] = "{\"type\":\"audio\",\"audio_event\":{\"audio_base_64\":\"";
    static const char tail[] = "\",\"event_id\":1}}";
    uint8_t *start = message + WS_HEADROOM, *at = start;
    memcpy(at, head, sizeof head - 1);
    at += sizeof head - 1;
    memcpy(at, chunk.start, chunk.length);
    at += chunk.length;
    memcpy(at, tail, sizeof tail - 1);
    at += sizeof tail - 1;
    if (!ws_send(&p->link, OP_TEXT, start, (size_t)(at - start), false)) p->dead = true;
}

static void handle(struct peer *p) {
    bool closed;
    size_t length = link_fill(&p->link, &closed), at = 0;
    if (closed) p->dead = true;
    if (!p->open && length > 0) {
        ssize_t head = http_head(scratch, length);
        if (head < 0 || (head > 0 && !ws_upgrade(&p->link, (char *)scratch))) p->dead = true;
        if (head > 0 && !p->dead) {
            at = (size_t)head;
            p->open = true;
            p->breaks = break_every && ++conversations % break_every == 0;
            p->next_ping = now_ns() + PING_SECONDS * SECOND;
            announce(p);
        }
    }
    while (p->open && !p->dead) {
        struct frame f;
        struct text chunk;
        ssize_t n = ws_parse(scratch + at, length - at, true, &f);
        if (n < 0) p->dead = true;
        if (n <= 0) break;
        at += (size_t)n;
        if (f.opcode == OP_TEXT && json_string(f.payload, f.length, "\"user_audio_chunk\"", &chunk)) echo(p, chunk);
        if (f.opcode == OP_PING || f.opcode == OP_CLOSE) {
            if (!ws_answer(&p->link, &f, false) || f.opcode == OP_CLOSE) p->dead = true;
        }
    }
    if (!p->dead) link_keep(&p->link, scratch + at, length - at);
}

static void finish(struct peer *p) {
    if (p->dead) {
        link_close(&p->link);
        p->previous->next = p->next;
        p->next->previous = p->previous;
        free(p);
    } else {
        link_watch(&p->link, epoll, p->link.out.length > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN, p);
    }
}

static void ping_all(void) {
    uint64_t now = now_ns();
    for (struct peer *p = peers.next, *next; p != &peers; p = next) {
        char text[128];
        next = p->next;
        if (!p->open || p->next_ping > now) continue;
        p->next_ping += PING_SECONDS * SECOND;
        p->pings++;
        snprintf(text, sizeof text, "{\"type\":\"ping\",\"ping_event\":{\"event_id\":%u,\"ping_ms\":1}}", p->pings);
        if (!ws_send_text(&p->link, text, false)) p->dead = true;
        finish(p);
    }
}

static void accept_all(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct peer *p = calloc(1, sizeof *p);
        if (!p) die("calloc");
        set_options(fd);
        p->link.fd = fd;
        if (tls) {
            p->link.tls = SSL_new(tls);
            if (!p->link.tls || !SSL_set_fd(p->link.tls, fd)) die("SSL_new");
            SSL_set_accept_state(p->link.tls);
        }
        p->next = peers.next, p->previous = &peers;
        p->next->previous = p, peers.next = p;
        finish(p);
    }
}

int main(int count, char **words) {
    int port = 0;
    for (int i = 1; i < count; i++) {
        if (!strcmp(words[i], "--port") && i + 1 < count) port = atoi(words[++i]);
        else if (!strcmp(words[i], "--format") && i + 1 < count) format = words[++i];
        else if (!strcmp(words[i], "--tool") && i + 1 < count) tool = words[++i];
        else if (!strcmp(words[i], "--break-every") && i + 1 < count) {
            int every = atoi(words[++i]);
            if (every > 0) break_every = (unsigned)every;
            else port = -1;
        } else if (!strcmp(words[i], "--tls") && i + 2 < count) {
            tls = SSL_CTX_new(TLS_server_method());
            if (!tls || SSL_CTX_use_certificate_chain_file(tls, words[i + 1]) != 1
                || SSL_CTX_use_PrivateKey_file(tls, words[i + 2], SSL_FILETYPE_PEM) != 1) {
                ERR_print_errors_fp(stderr);
                return 1;
            }
            SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
            i += 2;
        } else port = -1;
    }
    if (port <= 0 || (strcmp(format, "ulaw_8000") && strcmp(format, "pcm_16000"))) {
        fprintf(stderr, "usage: agent --port P [--format ulaw_8000|pcm_16000] [--tls CERTIFICATE KEY] "
                        "[--tool NAME] [--break-every N]\n");
        return 64;
    }
    prepare_process();
    base64_prepare();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(port), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct itimerspec often = {.it_interval.tv_nsec = 100 * MILLISECOND, .it_value.tv_nsec = 100 * MILLISECOND};
    struct epoll_event events[64], on_accept = {EPOLLIN, {.ptr = &listener}}, on_timer = {EPOLLIN, {.ptr = &timer}};
    if (epoll < 0 || timer < 0 || timerfd_settime(timer, 0, &often, NULL) < 0
        || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &on_accept) < 0
        || epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &on_timer) < 0)
        die("epoll");
    for (;;) {
        bool pings = false;
        int ready = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &listener) accept_all(listener);
            else if (events[i].data.ptr == &timer) pings = true;
            else {
                struct peer *p = events[i].data.ptr;
                if (!link_flush(&p->link)) p->dead = true;
                if (!p->dead) handle(p);
                finish(p);
            }
        }
        /* After the events, which may name a peer that a failed ping would free. */
        if (pings) {
            uint64_t ticks;
            if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) die("read");
            ping_all();
        }
    }
}
