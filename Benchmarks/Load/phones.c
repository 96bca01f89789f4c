/* N phones of Twilio's: each posts the voice webhook, obeys the TwiML, opens the media stream and talks in 20 ms
 * packets on an absolute schedule, full duplex, until the time is over. One thread, 127.0.0.1.
 *
 * What a call says is faint noise, and once a second a loud square wave for one packet. Its period names the probe, so
 * one that comes back late or not at all is not taken for the next. The added latency of the audio is the time from
 * sending the packet to receiving the one with the onset, plus the onset's place in that packet: a filter's delay
 * counts, as it does for the caller.
 *
 * usage: phones --port P [--calls N] [--seconds S] [--rampup-per-second R] [--direct] [--churn TOTAL]
 *               [--numbers COUNT] [--cut-every N] [--json]
 *
 * --direct     no webhook: the media stream is at ws://127.0.0.1:P/.
 * --churn      TOTAL calls of S seconds each, at most N at once, instead of N calls for S seconds.
 * --numbers    dials +15560000000 and the COUNT - 1 numbers behind it in turn, instead of ten million.
 * --cut-every  of every Nth call of a churn the stream's socket just closes in the middle, without "stop".
 *
 * Latency and lateness are of the steady part, when all calls talk ("steady" and "draining" on stderr mark it); counts
 * of media are of the whole run. */
#define _GNU_SOURCE
#include "ws.h"
#include <math.h>
#include <stdarg.h>

enum { PACKET = 160, NOISES = 16, PROBES = 3, MARKS = 64 };
enum { DETECTED_LEVEL = 16000, QUIET_LEVEL = 8000, QUIET_SAMPLES = 80 };
static const uint64_t FRAME = 20 * MILLISECOND, PROBE_LIFETIME = 2900 * MILLISECOND, SETUP_LIMIT = 10 * SECOND,
                      CLOSE_LIMIT = 2 * SECOND;

enum state { WAITING, WEBHOOK, UPGRADE, TALKING, DRAINING, CLOSING, ENDED };

struct mark {
    uint64_t due;
    char name[128];
};

struct call {
    struct link link;
    enum state state;
    bool connecting, failed, cut;
    int index, position; /* in the list of calls, and in the heap */
    uint64_t due, deadline, next_packet, end, began;
    char call_sid[35], stream_sid[35], accept[29], path[512], host[128];
    int port;
    struct bytes parameters;
    unsigned sequence, chunk, sent_packets;
    uint64_t play_end, probe_sent[PROBES]; /* 0: none under way */
    unsigned next_probe;
    struct mark *marks; /* MARKS of them, a ring, once the server sends one */
    unsigned first_mark, mark_count;
    enum { QUIET, ONSET, KNOWN } detector;
    double onset_ms;
    bool onset_negative;
    int run;
};

struct series {
    float *values;
    size_t count, capacity;
};

static struct {
    uint64_t calls, failed, closed_early, sent, received, sent_octets, received_octets, probes, probes_received;
    uint64_t marks, echoes, clears, blocked, cut;
} total;
static struct series latencies, lateness, setups;
static int epoll, server_port, calls_at_once = 1, rate = 50, churn, numbers = 10000000, cut_every;
static double seconds = 10;
static bool direct, json, steady;
static struct call *calls;
static struct call **heap;
static int heap_count;
static int started, settled, ended;
static uint64_t began, steady_began, steady_end;
static char payloads[NOISES + PROBES][4 * ((PACKET + 2) / 3) + 1];
static uint8_t decoded[65536];
static char last_error[256];
static uint8_t message[WS_HEADROOM + 65536];

static void add(struct series *s, double value) {
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 4096;
        s->values = realloc(s->values, s->capacity * sizeof *s->values);
        if (!s->values) die("realloc");
    }
    s->values[s->count++] = (float)value;
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* For sorted series. */
static double quantile(const struct series *s, double q) {
    if (s->count == 0) return 0;
    size_t rank = (size_t)ceil(q * (double)s->count);
    return s->values[rank > 0 ? rank - 1 : 0];
}

/* MARK: Who is due next */

static void place(int at, struct call *c) {
    heap[at] = c;
    c->position = at;
}

static void reschedule(struct call *c, uint64_t due) {
    int at = c->position;
    c->due = due;
    for (; at > 0 && heap[(at - 1) / 2]->due > due; at = (at - 1) / 2) place(at, heap[(at - 1) / 2]);
    for (int child; (child = 2 * at + 1) < heap_count; at = child) {
        if (child + 1 < heap_count && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[child]->due >= due) break;
        place(at, heap[child]);
    }
    place(at, c);
}

static void plan(struct call *c) {
    uint64_t due = c->state == TALKING ? c->next_packet : c->deadline;
    if ((c->state == TALKING || c->state == DRAINING) && c->mark_count > 0 && c->marks[c->first_mark].due < due)
        due = c->marks[c->first_mark].due;
    reschedule(c, c->state == ENDED ? UINT64_MAX : due);
}

/* MARK: Ends */

static void begin(struct call *c, uint64_t at);

static void end(struct call *c) {
    if (c->state == WEBHOOK || c->state == UPGRADE) settled++;
    link_close(&c->link);
    bytes_free(&c->parameters);
    free(c->marks);
    c->marks = NULL;
    c->state = ENDED;
    ended++;
    if (churn && started < churn) begin(c, now_ns());
    else plan(c);
}

__attribute__((format(printf, 2, 3))) static void fail(struct call *c, const char *reason, ...) {
    va_list list;
    if (c->state == ENDED) return;
    va_start(list, reason);
    vsnprintf(last_error, sizeof last_error, reason, list);
    va_end(list);
    if (c->state == WEBHOOK || c->state == UPGRADE) total.failed++;
    else if (c->state != CLOSING) total.closed_early++;
    end(c);
}

static void hang_up(struct call *c) {
    char text[256];
    snprintf(
        text, sizeof text,
        "{\"event\":\"stop\",\"sequenceNumber\":\"%u\",\"streamSid\":\"%s\","
        "\"stop\":{\"accountSid\":\"AC%032d\",\"callSid\":\"%s\"}}",
        c->sequence++, c->stream_sid, 0, c->call_sid);
    c->state = CLOSING;
    c->deadline = now_ns() + CLOSE_LIMIT;
    if (!ws_send_text(&c->link, text, true) || !ws_send_close(&c->link, true)) end(c);
    else plan(c);
}

/* MARK: Setting up */

static void hexadecimal(char sid[35], const char *prefix) {
    snprintf(sid, 35, "%s%016llx%016llx", prefix, (unsigned long long)random_bits(), (unsigned long long)random_bits());
}

static void open_socket(struct call *c, int port) {
    link_close(&c->link);
    c->link.fd = connect_to(port);
    if (c->link.fd < 0) {
        fail(c, "connect: %s", strerror(errno));
        return;
    }
    c->connecting = true;
    link_watch(&c->link, epoll, EPOLLOUT, c);
}

static void begin(struct call *c, uint64_t at) {
    int index = c->index, position = c->position;
    memset(c, 0, sizeof *c);
    c->index = index, c->position = position;
    c->link.fd = -1;
    c->deadline = at;
    started++;
    plan(c);
}

static void dial(struct call *c) {
    total.calls++;
    c->cut = churn && cut_every && total.calls % (unsigned)cut_every == 0;
    c->began = now_ns();
    c->deadline = c->began + SETUP_LIMIT;
    hexadecimal(c->call_sid, "CA");
    hexadecimal(c->stream_sid, "MZ");
    c->port = server_port;
    snprintf(c->host, sizeof c->host, "127.0.0.1:%d", server_port);
    snprintf(c->path, sizeof c->path, "/");
    c->state = direct ? UPGRADE : WEBHOOK;
    plan(c);
    open_socket(c, server_port);
}

static bool post_webhook(struct call *c) {
    char form[512], request[1024];
    unsigned number = (unsigned)started * 7919u + (unsigned)c->index;
    int size = snprintf(
        form, sizeof form,
        "AccountSid=AC%032d&CallSid=%s&From=%%2B1555%07u&To=%%2B1556%07u&CallStatus=ringing"
        "&Direction=inbound&ApiVersion=2010-04-01",
        0, c->call_sid, number % 10000000, (number * 31) % (unsigned)numbers);
    int n = snprintf(
        request, sizeof request,
        "POST /twilio/voice HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: %d\r\nAccept: */*\r\nConnection: close\r\n\r\n%s",
        server_port, size, form);
    return link_send(&c->link, request, (size_t)n);
}

/* The value of an attribute within a tag, its references resolved. */
static bool attribute(const char *tag, const char *name, char *value, size_t capacity) {
    static const struct { const char *name; char character; } references[] = {
        {"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}};
    const char *end = tag + strcspn(tag, ">");
    size_t length = strlen(name), n = 0;
    for (const char *at = tag; (at = strstr(at, name)) && at < end; at += length) {
        char mark = at[length] == '=' ? at[length + 1] : 0;
        if (!strchr(" \t\r\n", at[-1]) || (mark != '"' && mark != '\'')) continue;
        for (at += length + 2; *at && *at != mark; ) {
            char character = *at++;
            if (character == '&' && *at == '#') {
                character = (char)(at[1] == 'x' ? strtol(at + 2, NULL, 16) : strtol(at + 1, NULL, 10));
                at += strcspn(at, ";") + (strchr(at, ';') != NULL);
            } else if (character == '&') {
                for (size_t i = 0; i < sizeof references / sizeof *references; i++)
                    if (!strncmp(at, references[i].name, strlen(references[i].name))) {
                        character = references[i].character;
                        at += strlen(references[i].name);
                        break;
                    }
            }
            if (n + 1 >= capacity) return false;
            value[n++] = character;
        }
        value[n] = 0;
        return true;
    }
    return false;
}

static void append_json(struct bytes *b, const char *text) {
    bytes_append(b, "\"", 1);
    for (; *text; text++) {
        char escaped[8];
        int n = (unsigned char)*text < 0x20 ? snprintf(escaped, sizeof escaped, "\\u%04x", *text)
            : snprintf(escaped, sizeof escaped, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
        bytes_append(b, escaped, (size_t)n);
    }
    bytes_append(b, "\"", 1);
}

/* Obeys `<Connect><Stream>`, which is all the TwiML a bridge needs. */
static void obey(struct call *c, const char *document) {
    char url[768], name[512], value[2048];
    const char *stream = strstr(document, "<Stream");
    if (!stream || !attribute(stream + 7, "url", url, sizeof url)) {
        fail(c, "no <Stream> in the answer: %.160s", document);
        return;
    }
    if (sscanf(url, "ws://%127[^/]%511s", c->host, c->path) != 2) {
        fail(c, "the stream is at %.200s", url);
        return;
    }
    const char *colon = strrchr(c->host, ':');
    c->port = colon ? atoi(colon + 1) : 80;
    size_t host = colon ? (size_t)(colon - c->host) : strlen(c->host);
    if (strncmp(c->host, "127.0.0.1", host) && strncmp(c->host, "localhost", host)) {
        fail(c, "the stream is not on this machine: %.200s", url);
        return;
    }
    for (const char *at = stream; (at = strstr(at, "<Parameter")); at += 10) {
        if (!attribute(at + 10, "name", name, sizeof name)) continue;
        if (!attribute(at + 10, "value", value, sizeof value)) continue;
        if (c->parameters.length > 0) bytes_append(&c->parameters, ",", 1);
        append_json(&c->parameters, name);
        bytes_append(&c->parameters, ":", 1);
        append_json(&c->parameters, value);
    }
    c->state = UPGRADE;
    open_socket(c, c->port);
}

static void read_webhook(struct call *c) {
    bool closed;
    char value[64];
    size_t length = link_fill(&c->link, &closed);
    if (length >= sizeof scratch) length = sizeof scratch - 1;
    scratch[length] = 0;
    const char *body = strstr((char *)scratch, "\r\n\r\n");
    bool complete = closed;
    if (body) {
        bool known = http_header((char *)scratch, "Content-Length", value, sizeof value);
        if (http_header((char *)scratch, "Transfer-Encoding", value, sizeof value)) {
            fail(c, "the webhook's answer is chunked");
            return;
        }
        if (known) complete = length - (size_t)(body + 4 - (char *)scratch) >= (size_t)atoi(value);
    }
    if (!complete) {
        link_keep(&c->link, scratch, length);
        return;
    }
    if (!body || strncmp((char *)scratch, "HTTP/1.1 200", 12)) {
        fail(c, "the webhook's answer: %.160s", (char *)scratch);
        return;
    }
    obey(c, body + 4);
}

/* The first words on the stream, and the first place of the schedule that is still to come. */
static void start(struct call *c) {
    char text[4096];
    uint64_t now = now_ns();
    int n = snprintf(
        text, sizeof text,
        "{\"event\":\"start\",\"sequenceNumber\":\"1\",\"start\":{\"accountSid\":\"AC%032d\",\"streamSid\":\"%s\","
        "\"callSid\":\"%s\",\"tracks\":[\"inbound\"],\"mediaFormat\":{"
        "\"encoding\":\"audio/x-mulaw\",\"sampleRate\":8000,\"channels\":1},"
        "\"customParameters\":{%.*s}},\"streamSid\":\"%s\"}",
        0, c->stream_sid, c->call_sid, (int)c->parameters.length, c->parameters.data ? (char *)c->parameters.data : "",
        c->stream_sid);
    static const char hello[] = "{\"event\":\"connected\",\"protocol\":\"Call\",\"version\":\"1.0.0\"}";
    if (n >= (int)sizeof text || !ws_send_text(&c->link, hello, true) || !ws_send_text(&c->link, text, true)) {
        fail(c, "the stream closed at its start");
        return;
    }
    bytes_free(&c->parameters);
    add(&setups, (double)(now - c->began) / 1e6);
    settled++;
    c->state = TALKING;
    c->sequence = 2;
    c->chunk = 1;
    /* Phases by the golden ratio: evenly spread for any number of calls. */
    uint64_t grid = began + (uint64_t)(fmod(c->index * 0.6180339887498949, 1) * (double)FRAME);
    c->next_packet = grid + ((now - grid) / FRAME + 1) * FRAME;
    c->end = churn ? c->next_packet + (uint64_t)(seconds * SECOND / (c->cut ? 2 : 1)) : UINT64_MAX;
    plan(c);
}

/* MARK: Talking */

static void send_packet(struct call *c, uint64_t now) {
    /* The first probe comes when filters have settled; the calls take turns within the second. */
    unsigned turn = churn ? 10 : 10 + (unsigned)c->index * 7 % 50;
    const char *payload = payloads[random_bits() % NOISES];
    if (c->sent_packets >= turn && (c->sent_packets - turn) % 50 == 0) {
        payload = payloads[NOISES + c->next_probe];
        c->probe_sent[c->next_probe] = steady || churn ? now : 0;
        total.probes += steady || churn;
        c->next_probe = (c->next_probe + 1) % PROBES;
    }
    uint8_t *at = message + WS_HEADROOM;
    int n = snprintf(
        (char *)at, 65536,
        "{\"event\":\"media\",\"sequenceNumber\":\"%u\",\"media\":{\"track\":\"inbound\",\"chunk\":\"%u\","
        "\"timestamp\":\"%u\",\"payload\":\"%s\"},\"streamSid\":\"%s\"}",
        c->sequence++, c->chunk, (c->chunk - 1) * 20, payload, c->stream_sid);
    c->chunk++;
    if (!ws_send(&c->link, OP_TEXT, at, (size_t)n, true)) {
        fail(c, "the stream closed while sending");
        return;
    }
    c->sent_packets++;
    total.sent++;
    total.sent_octets += PACKET;
    total.blocked += c->link.out.length > 0;
}

static void echo_mark(struct call *c) {
    char text[512];
    struct mark *m = &c->marks[c->first_mark];
    snprintf(
        text, sizeof text,
        "{\"event\":\"mark\",\"sequenceNumber\":\"%u\",\"streamSid\":\"%s\",\"mark\":{\"name\":\"%s\"}}",
        c->sequence++, c->stream_sid, m->name);
    c->first_mark = (c->first_mark + 1) % MARKS;
    c->mark_count--;
    total.echoes++;
    if (!ws_send_text(&c->link, text, true)) fail(c, "the stream closed while sending");
}

static void watch(struct call *c) {
    if (c->link.fd >= 0 && !c->connecting)
        link_watch(&c->link, epoll, c->link.out.length > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN, c);
}

static void tick(struct call *c, uint64_t now) {
    switch (c->state) {
    case WAITING: dial(c); return;
    case WEBHOOK: fail(c, "no answer to the webhook in 10 s"); return;
    case UPGRADE: fail(c, "no answer to the upgrade in 10 s"); return;
    case DRAINING:
        if (c->deadline <= now) {
            hang_up(c);
            return;
        }
        break;
    case CLOSING: end(c); return;
    case ENDED: plan(c); return;
    case TALKING:
        for (; c->state == TALKING && c->next_packet <= now; c->next_packet += FRAME) {
            if (c->next_packet >= c->end && c->cut) {
                total.cut++;
                end(c);
                return;
            }
            if (c->next_packet >= c->end) {
                c->state = DRAINING;
                c->deadline = now + 500 * MILLISECOND;
                break;
            }
            uint64_t at = now_ns();
            if (steady || churn) add(&lateness, (double)(at - c->next_packet) / 1e6);
            send_packet(c, at);
        }
    }
    while ((c->state == TALKING || c->state == DRAINING) && c->mark_count > 0 && c->marks[c->first_mark].due <= now)
        echo_mark(c);
    if (c->state == ENDED || c->state == WAITING) return;
    watch(c);
    plan(c);
}

/* MARK: Listening */

/* Looks for a probe's onset, and for its name in the time to its first change of sign. */
static void listen_for_probe(struct call *c, const uint8_t *octets, size_t count, uint64_t now) {
    for (size_t i = 0; i < count; i++) {
        int sample = mulaw_values[octets[i]], level = abs(sample);
        switch (c->detector) {
        case QUIET:
            if (level < DETECTED_LEVEL) break;
            c->detector = ONSET;
            c->onset_ms = (double)now / 1e6 + (double)i / 8;
            c->onset_negative = sample < 0;
            c->run = 0;
            break;
        case ONSET: {
            c->run++;
            if ((sample < 0) == c->onset_negative && c->run < 64) break;
            int name = c->run < 6 ? 0 : c->run < 12 ? 1 : 2;
            c->detector = KNOWN;
            c->run = 0;
            if (c->probe_sent[name] == 0) break;
            double latency = c->onset_ms - (double)c->probe_sent[name] / 1e6;
            c->probe_sent[name] = 0;
            if (latency * 1e6 > (double)PROBE_LIFETIME) break;
            total.probes_received++;
            add(&latencies, latency);
            break;
        }
        case KNOWN:
            c->run = level < QUIET_LEVEL ? c->run + 1 : 0;
            if (c->run >= QUIET_SAMPLES) c->detector = QUIET;
        }
    }
}

static void hear(struct call *c, const struct frame *f, uint64_t now) {
    struct text event, value;
    if (!json_string(f->payload, f->length, "\"event\"", &event)) {
        fail(c, "a message without an event");
    } else if (text_is(event, "media")) {
        ssize_t count = -1;
        if (json_string(f->payload, f->length, "\"payload\"", &value) && value.length <= sizeof decoded)
            count = json_base64(value, decoded);
        if (count < 0) {
            fail(c, "a media message without sound base64");
            return;
        }
        total.received++;
        total.received_octets += (uint64_t)count;
        if (c->play_end < now) c->play_end = now;
        c->play_end += (uint64_t)count * 125000;
        listen_for_probe(c, decoded, (size_t)count, now);
    } else if (text_is(event, "mark")) {
        total.marks++;
        if (!c->marks && !(c->marks = calloc(MARKS, sizeof *c->marks))) die("calloc");
        if (!json_string(f->payload, f->length, "\"name\"", &value) || value.length >= sizeof c->marks->name
            || c->mark_count == MARKS) {
            fail(c, c->mark_count == MARKS ? "too many marks are open" : "a mark without a short name");
            return;
        }
        struct mark *m = &c->marks[(c->first_mark + c->mark_count++) % MARKS];
        memcpy(m->name, value.start, value.length);
        m->name[value.length] = 0;
        m->due = c->play_end > now ? c->play_end : now;
        if (c->mark_count == 1) plan(c);
    } else if (text_is(event, "clear")) {
        total.clears++;
        c->play_end = now;
        while (c->mark_count > 0 && c->state != ENDED) echo_mark(c);
    }
}

static void read_stream(struct call *c) {
    bool closed;
    size_t length = link_fill(&c->link, &closed), at = 0;
    uint64_t now = now_ns();
    if (c->state == UPGRADE && length > 0) {
        ssize_t head = http_head(scratch, length);
        if (head < 0 || (head > 0 && !ws_accepted((char *)scratch, c->accept))) {
            fail(c, "the upgrade's answer: %.160s", (char *)scratch);
            return;
        }
        if (head > 0) {
            at = (size_t)head;
            start(c);
        }
    }
    while (c->state >= TALKING && c->state <= CLOSING) {
        struct frame f;
        ssize_t n = ws_parse(scratch + at, length - at, false, &f);
        if (n < 0) fail(c, "a malformed frame");
        if (n <= 0) break;
        at += (size_t)n;
        if (f.opcode == OP_TEXT && c->state != CLOSING) hear(c, &f, now);
        else if (f.opcode == OP_PING) ws_answer(&c->link, &f, true);
        else if (f.opcode == OP_CLOSE && c->state == CLOSING) {
            end(c);
            return;
        } else if (f.opcode == OP_CLOSE) {
            ws_answer(&c->link, &f, true);
            fail(c, "the server closed with %d", f.length >= 2 ? f.payload[0] << 8 | f.payload[1] : 1005);
        }
    }
    if (c->state == ENDED || c->state == WAITING) return;
    link_keep(&c->link, scratch + at, length - at);
    if (closed) {
        if (c->state == CLOSING) end(c);
        else fail(c, "the server closed without a word");
    }
}

static void handle(struct call *c) {
    if (c->link.fd < 0) return;
    if (c->connecting) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->link.fd, SOL_SOCKET, SO_ERROR, &error, &size);
        c->connecting = false;
        if (error) fail(c, "connect: %s", strerror(error));
        else if (!(c->state == WEBHOOK ? post_webhook(c) : ws_request(&c->link, c->host, c->path, c->accept)))
            fail(c, "the connection closed at its start");
    } else if (!link_flush(&c->link)) {
        fail(c, "the connection closed while sending");
    } else if (c->state == WEBHOOK) {
        read_webhook(c);
    } else {
        read_stream(c);
    }
    watch(c);
}

/* MARK: The run */

static void prepare_audio(void) {
    static const int half_periods[PROBES] = {4, 8, 16};
    uint8_t packet[PACKET];
    for (int i = 0; i < NOISES + PROBES; i++) {
        for (int k = 0; k < PACKET; k++) {
            if (i < NOISES) packet[k] = (uint8_t)(0x70 | (random_bits() & 0x8F)); /* at most 120 of 32,768 */
            else packet[k] = k / half_periods[i - NOISES] % 2 ? 0x00 : 0x80;
        }
        payloads[i][base64_encode(packet, PACKET, payloads[i])] = 0;
    }
}

static void advance(uint64_t now) {
    if (churn || steady_end == UINT64_MAX) return;
    if (!steady && settled == calls_at_once) {
        steady = true;
        steady_began = now;
        steady_end = now + (uint64_t)(seconds * SECOND);
        fprintf(stderr, "steady\n");
    } else if (steady && now >= steady_end) {
        fprintf(stderr, "draining\n");
        steady = false;
        steady_end = UINT64_MAX;
        for (int i = 0; i < calls_at_once; i++)
            if (calls[i].state == TALKING) {
                calls[i].state = DRAINING;
                calls[i].deadline = now + SECOND;
                plan(&calls[i]);
            }
    }
}

static void report(void) {
    struct series *all[] = {&latencies, &lateness, &setups};
    for (int i = 0; i < 3; i++)
        if (all[i]->count > 0) qsort(all[i]->values, all[i]->count, sizeof(float), ascending);
    for (char *p = last_error; *p; p++)
        if (*p == '"' || *p == '\\' || (unsigned char)*p < 0x20 || (unsigned char)*p > 0x7E) *p = ' ';
    printf(
        json ? "{\"calls\":%llu,\"failed\":%llu,\"closedEarly\":%llu,\"lastError\":\"%s\",\"steadySeconds\":%.3f,"
               "\"latencyMs\":{\"p50\":%.3f,\"p95\":%.3f,\"p99\":%.3f,\"max\":%.3f},"
               "\"probes\":{\"sent\":%llu,\"received\":%llu,\"lost\":%llu},"
               "\"media\":{\"sent\":%llu,\"received\":%llu,\"sentMs\":%llu,\"receivedMs\":%llu},"
               "\"marks\":%llu,\"markEchoes\":%llu,\"clears\":%llu,\"blockedSends\":%llu,\"cut\":%llu,"
               "\"setupMs\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f},"
               "\"lateMs\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}}\n"
             : "calls %llu, failed %llu, closed early %llu, last error \"%s\", steady for %.3f s\n"
               "latency ms      p50 %.3f  p95 %.3f  p99 %.3f  max %.3f\n"
               "probes          sent %llu  received %llu  lost %llu\n"
               "media           sent %llu  received %llu  sent ms %llu  received ms %llu\n"
               "messages        marks %llu  echoed %llu  clears %llu  blocked sends %llu  cut streams %llu\n"
               "set-up ms       p50 %.3f  p99 %.3f  max %.3f\n"
               "own lateness ms p50 %.3f  p99 %.3f  max %.3f\n",
        (unsigned long long)total.calls, (unsigned long long)total.failed, (unsigned long long)total.closed_early,
        last_error, churn ? 0 : seconds, quantile(&latencies, 0.5), quantile(&latencies, 0.95),
        quantile(&latencies, 0.99), quantile(&latencies, 1), (unsigned long long)total.probes,
        (unsigned long long)total.probes_received,
        (unsigned long long)(total.probes - total.probes_received), (unsigned long long)total.sent,
        (unsigned long long)total.received,
        (unsigned long long)total.sent_octets / 8, (unsigned long long)total.received_octets / 8,
        (unsigned long long)total.marks, (unsigned long long)total.echoes, (unsigned long long)total.clears,
        (unsigned long long)total.blocked, (unsigned long long)total.cut, quantile(&setups, 0.5), quantile(&setups, 0.99), quantile(&setups, 1),
        quantile(&lateness, 0.5), quantile(&lateness, 0.99), quantile(&lateness, 1));
}

int main(int count, char **words) {
    bool good = true;
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : "";
        if (!strcmp(words[i], "--direct")) direct = true;
        else if (!strcmp(words[i], "--json")) json = true;
        else if (!strcmp(words[i], "--port")) server_port = atoi(value), i++;
        else if (!strcmp(words[i], "--calls")) calls_at_once = atoi(value), i++;
        else if (!strcmp(words[i], "--seconds")) seconds = atof(value), i++;
        else if (!strcmp(words[i], "--rampup-per-second")) rate = atoi(value), i++;
        else if (!strcmp(words[i], "--churn")) churn = atoi(value), good &= churn > 0, i++;
        else if (!strcmp(words[i], "--numbers")) numbers = atoi(value), good &= numbers > 0 && numbers <= 10000000, i++;
        else if (!strcmp(words[i], "--cut-every")) cut_every = atoi(value), good &= cut_every > 0, i++;
        else good = false;
    }
    if (!good || server_port <= 0 || calls_at_once <= 0 || calls_at_once > 100000 || seconds <= 0 || rate <= 0) {
        fprintf(
            stderr,
            "usage: phones --port P [--calls N] [--seconds S] [--rampup-per-second R] [--direct] [--churn TOTAL] "
            "[--numbers COUNT] [--cut-every N] [--json]\n");
        return 64;
    }
    if (churn && churn < calls_at_once) calls_at_once = churn;
    prepare_process();
    base64_prepare();
    mulaw_prepare();
    prepare_audio();
    /* Whatever happens, this ends. */
    double dials = (double)(churn ? churn : calls_at_once);
    alarm((unsigned)(dials / rate + (churn ? dials / calls_at_once * (seconds + 13) : seconds) + 30));

    epoll = epoll_create1(EPOLL_CLOEXEC);
    calls = calloc((size_t)calls_at_once, sizeof *calls);
    heap = calloc((size_t)calls_at_once, sizeof *heap);
    struct epoll_event events[64];
    if (epoll < 0 || !calls || !heap) die("epoll");
    began = now_ns();
    for (int i = 0; i < calls_at_once; i++) {
        calls[i].index = i;
        place(heap_count++, &calls[i]);
        begin(&calls[i], began + (uint64_t)((double)i / rate * SECOND));
    }
    int to_end = churn ? churn : calls_at_once;
    while (ended < to_end) {
        uint64_t now = now_ns();
        advance(now);
        while (heap[0]->due <= now) tick(heap[0], now);
        uint64_t due = heap[0]->due;
        if (steady && steady_end < due) due = steady_end;
        now = now_ns();
        /* Unlike a timerfd this sets a timer only when nothing can be read; in a virtual machine that is dear. */
        uint64_t wait = due == UINT64_MAX ? SECOND : due > now ? due - now : 0;
        struct timespec limit = {(time_t)(wait / SECOND), (long)(wait % SECOND)};
        int ready = epoll_pwait2(epoll, events, 64, &limit, NULL);
        if (ready < 0 && errno != EINTR) die("epoll_pwait2");
        for (int i = 0; i < ready; i++) handle(events[i].data.ptr);
    }
    report();
    return total.failed + total.closed_early > 0;
}
