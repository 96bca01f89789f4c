/* The floor: what a bridge between a Twilio media stream and an ElevenLabs agent costs when nothing but the work itself
 * is done. One thread, epoll, no pacing, no tokens, no supervision; each message goes on as soon as it is read.
 *
 * passthrough: mu-law is taken out of one kind of message and put into the other, base64 decoded and encoded again.
 * resample:    mu-law to 16-bit, 8 to 16 kHz, to the agent; and 16 to 8 kHz, to mu-law, back. The half-band filter has
 *              38 taps in its one non-trivial branch: flat to 3.4 kHz, 80 dB down from 4.6 kHz, 2.3 ms each way.
 *
 * usage: bridge --port P --agent-port A [--mode passthrough|resample] */
#define _GNU_SOURCE
#include "ws.h"
#include <math.h>

enum { TAPS = 38, BLOCK = 160, LARGEST_AUDIO = 64 * 1024 };

struct call;
struct side {
    struct link link;
    struct call *call;
    bool is_agent, open;
};

struct call {
    struct side phone, agent;
    bool ready, dead; /* ready: the agent has announced its formats; until then the phone is not read */
    char stream[64], accept[29];
    float up[TAPS - 1], down_odd[TAPS - 1], down_even[TAPS / 2];
    struct call *next_dead;
};

static int epoll, agent_port;
static bool resamples;
static float taps[TAPS];
static struct call *dead_calls;
static uint8_t message[WS_HEADROOM + LARGEST_AUDIO * 4];
static uint8_t octets[LARGEST_AUDIO];
static int16_t samples[LARGEST_AUDIO];

/* MARK: The filter */

/* The odd branch of a half-band low-pass under a Kaiser window (beta 8); the even branch is a pure delay. */
static void filter_prepare(void) {
    double sum = 0, norm = 1, term = 1;
    for (int k = 1; k < 40; k++) term *= 16.0 / ((double)k * k), norm += term; /* I0(8) */
    for (int i = 0; i < TAPS; i++) {
        double t = i - (TAPS - 1) / 2.0, r = t / (TAPS / 2.0), x = 64 * (1 - r * r) / 4, window = 1;
        term = 1;
        for (int k = 1; k < 40; k++) term *= x / ((double)k * k), window += term;
        taps[i] = (float)(sin(M_PI * t) / (M_PI * t) * window / norm);
        sum += taps[i];
    }
    for (int i = 0; i < TAPS; i++) taps[i] /= (float)sum;
}

/* `to[n]` is the sum of `taps[k] * x[n + TAPS - 1 - k]`; the taps are symmetrical. Eight outputs at a time. */
__attribute__((target_clones("avx2", "default"))) static void filter(const float *x, float *to, int count) {
    typedef float eight __attribute__((vector_size(32), aligned(4)));
    for (int n = 0; n < count; n += 8) {
        eight sum = {0};
        for (int k = 0; k < TAPS; k++) sum += taps[k] * *(const eight *)(x + n + k);
        *(eight *)(to + n) = sum;
    }
}

static int16_t rounded(float x) {
    return x >= 32767 ? 32767 : x <= -32768 ? -32768 : (int16_t)lrintf(x);
}

/* `count` samples at 8 kHz, at most BLOCK, become twice as many. */
static void interpolate(struct call *c, const int16_t *from, int count, int16_t *to) {
    float x[TAPS - 1 + BLOCK + 8] = {0}, y[BLOCK + 8];
    memcpy(x, c->up, sizeof c->up);
    for (int i = 0; i < count; i++) x[TAPS - 1 + i] = from[i];
    filter(x, y, count);
    for (int i = 0; i < count; i++) {
        to[2 * i] = rounded(y[i]);
        to[2 * i + 1] = (int16_t)x[i + TAPS / 2];
    }
    memcpy(c->up, x + count, sizeof c->up);
}

/* `2 * count` samples at 16 kHz become `count`, at most BLOCK. */
static void decimate(struct call *c, const int16_t *from, int count, int16_t *to) {
    float odd[TAPS - 1 + BLOCK + 8] = {0}, even[TAPS / 2 + BLOCK], y[BLOCK + 8];
    memcpy(odd, c->down_odd, sizeof c->down_odd);
    memcpy(even, c->down_even, sizeof c->down_even);
    for (int i = 0; i < count; i++) {
        even[TAPS / 2 + i] = from[2 * i];
        odd[TAPS - 1 + i] = from[2 * i + 1];
    }
    filter(odd, y, count);
    for (int i = 0; i < count; i++) to[i] = rounded((y[i] + even[i + 1]) / 2);
    memcpy(c->down_odd, odd + count, sizeof c->down_odd);
    memcpy(c->down_even, even + count, sizeof c->down_even);
}

/* MARK: Audio */

static uint8_t *put(uint8_t *at, const char *text) {
    size_t length = strlen(text);
    memcpy(at, text, length);
    return at + length;
}

static bool to_agent(struct call *c, struct text payload) {
    if (payload.length > LARGEST_AUDIO / 4) return false;
    ssize_t count = json_base64(payload, octets);
    if (count < 0) return false;
    uint8_t *start = message + WS_HEADROOM, *at = put(start, "{\"user_audio_chunk\":\"");
    if (resamples) {
        int16_t narrow[BLOCK];
        for (ssize_t done = 0, n; done < count; done += n) {
            n = count - done < BLOCK ? count - done : BLOCK;
            for (ssize_t i = 0; i < n; i++) narrow[i] = mulaw_values[octets[done + i]];
            interpolate(c, narrow, (int)n, samples + 2 * done);
        }
        at += base64_encode((uint8_t *)samples, (size_t)count * 4, (char *)at);
    } else {
        at += base64_encode(octets, (size_t)count, (char *)at);
    }
    at = put(at, "\"}");
    return ws_send(&c->agent.link, OP_TEXT, start, (size_t)(at - start), true);
}

static bool to_phone(struct call *c, struct text payload) {
    if (payload.length > LARGEST_AUDIO) return false;
    ssize_t count;
    if (resamples) {
        count = json_base64(payload, (uint8_t *)samples);
        if (count < 0 || count % 4 != 0) return false;
        count /= 4;
        int16_t narrow[BLOCK];
        for (ssize_t done = 0, n; done < count; done += n) {
            n = count - done < BLOCK ? count - done : BLOCK;
            decimate(c, samples + 2 * done, (int)n, narrow);
            for (ssize_t i = 0; i < n; i++) octets[done + i] = mulaw_encode(narrow[i]);
        }
    } else {
        count = json_base64(payload, octets);
        if (count < 0) return false;
    }
    uint8_t *start = message + WS_HEADROOM, *at = put(start, "{\"event\":\"media\",\"streamSid\":\"");
    at = put(put(at, c->stream), "\",\"media\":{\"payload\":\"");
    at += base64_encode(octets, (size_t)count, (char *)at);
    at = put(at, "\"}}");
    return ws_send(&c->phone.link, OP_TEXT, start, (size_t)(at - start), false);
}

/* MARK: Messages */

static bool from_phone(struct call *c, const struct frame *f) {
    struct text event, value;
    if (!json_string(f->payload, f->length, "\"event\"", &event)) return true;
    if (text_is(event, "media")) {
        if (!json_string(f->payload, f->length, "\"payload\"", &value)) return false;
        return to_agent(c, value);
    }
    if (text_is(event, "start") && c->agent.link.fd < 0) {
        if (!json_string(f->payload, f->length, "\"streamSid\"", &value)) return false;
        if (value.length >= sizeof c->stream) return false;
        memcpy(c->stream, value.start, value.length);
        c->agent.link.fd = connect_to(agent_port);
        return c->agent.link.fd >= 0;
    }
    return !text_is(event, "stop");
}

static bool from_agent(struct call *c, const struct frame *f) {
    struct text type, value;
    if (!json_string(f->payload, f->length, "\"type\"", &type)) return true;
    if (text_is(type, "audio"))
        return json_string(f->payload, f->length, "\"audio_base_64\"", &value) ? to_phone(c, value) : false;
    if (text_is(type, "ping")) {
        const char *id = memmem(f->payload, f->length, "\"event_id\":", 11);
        char text[64];
        snprintf(text, sizeof text, "{\"type\":\"pong\",\"event_id\":%d}", id ? atoi(id + 11) : 0);
        return ws_send_text(&c->agent.link, text, true);
    }
    if (text_is(type, "conversation_initiation_metadata")) {
        const char *wanted = resamples ? "pcm_16000" : "ulaw_8000";
        if (!json_string(f->payload, f->length, "\"agent_output_audio_format\"", &value) || !text_is(value, wanted)) {
            fprintf(stderr, "the agent does not speak %s\n", wanted);
            return false;
        }
        c->ready = true;
    }
    return true;
}

/* MARK: The loop */

static bool read_side(struct side *s) {
    struct call *c = s->call;
    bool closed, good = true;
    size_t length = link_fill(&s->link, &closed), at = 0;
    if (!s->open && length > 0) {
        ssize_t head = http_head(scratch, length);
        if (head < 0) return false;
        if (head > 0) {
            at = (size_t)head;
            s->open = true;
            if (!s->is_agent) good = ws_upgrade(&s->link, (char *)scratch);
            else good = ws_accepted((char *)scratch, c->accept)
                && ws_send_text(&s->link, "{\"type\":\"conversation_initiation_client_data\"}", true);
        }
    }
    while (good && s->open && (s->is_agent || c->agent.link.fd < 0 || c->ready)) {
        struct frame f;
        ssize_t n = ws_parse(scratch + at, length - at, !s->is_agent, &f);
        if (n < 0) return false;
        if (n == 0) break;
        at += (size_t)n;
        if (f.opcode == OP_TEXT) good = s->is_agent ? from_agent(c, &f) : from_phone(c, &f);
        else if (f.opcode == OP_PING) good = ws_answer(&s->link, &f, s->is_agent);
        else if (f.opcode == OP_CLOSE) ws_answer(&s->link, &f, s->is_agent), good = false;
    }
    link_keep(&s->link, scratch + at, length - at);
    return good && !closed;
}

static void watch(struct side *s, bool reads) {
    if (s->link.fd >= 0)
        link_watch(&s->link, epoll, (reads ? EPOLLIN : 0) | (s->link.out.length > 0 ? EPOLLOUT : 0), s);
}

static void handle(struct side *s, uint32_t what) {
    struct call *c = s->call;
    bool was_ready = c->ready, good = true;
    if (c->dead) return;
    if (s->is_agent && !c->accept[0]) { /* connected, or not */
        char host[32], path[] = "/v1/convai/conversation?agent_id=agent_load";
        snprintf(host, sizeof host, "127.0.0.1:%d", agent_port);
        good = !(what & (EPOLLERR | EPOLLHUP)) && ws_request(&s->link, host, path, c->accept);
    } else {
        good = link_flush(&s->link) && (!(what & (EPOLLIN | EPOLLHUP | EPOLLERR)) || read_side(s));
    }
    if (good && c->ready && !was_ready) good = read_side(&c->phone); /* what the phone said meanwhile */
    if (good) {
        bool connecting = c->agent.link.fd >= 0 && !c->accept[0];
        watch(&c->phone, c->agent.link.fd < 0 || c->ready);
        if (connecting) link_watch(&c->agent.link, epoll, EPOLLOUT, &c->agent);
        else watch(&c->agent, true);
        return;
    }
    if (c->agent.open) ws_send_close(&c->agent.link, true);
    if (c->phone.open) ws_send_close(&c->phone.link, false);
    link_close(&c->phone.link);
    link_close(&c->agent.link);
    c->dead = true; /* other events of this round may still name it */
    c->next_dead = dead_calls;
    dead_calls = c;
}

static void accept_all(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct call *c = calloc(1, sizeof *c);
        if (!c) die("calloc");
        set_options(fd);
        c->phone = (struct side){.link.fd = fd, .call = c};
        c->agent = (struct side){.link.fd = -1, .call = c, .is_agent = true};
        watch(&c->phone, true);
    }
}

int main(int count, char **words) {
    int port = 0;
    const char *mode = "passthrough";
    for (int i = 1; i < count; i++) {
        if (!strcmp(words[i], "--port") && i + 1 < count) port = atoi(words[++i]);
        else if (!strcmp(words[i], "--agent-port") && i + 1 < count) agent_port = atoi(words[++i]);
        else if (!strcmp(words[i], "--mode") && i + 1 < count) mode = words[++i];
        else port = -1;
    }
    resamples = !strcmp(mode, "resample");
    if (port <= 0 || agent_port <= 0 || (!resamples && strcmp(mode, "passthrough"))) {
        fprintf(stderr, "usage: bridge --port P --agent-port A [--mode passthrough|resample]\n");
        return 64;
    }
    prepare_process();
    base64_prepare();
    mulaw_prepare();
    filter_prepare();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(port);
    struct epoll_event events[64], on_accept = {EPOLLIN, {.ptr = &listener}};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &on_accept) < 0) die("epoll");
    for (;;) {
        int ready = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &listener) accept_all(listener);
            else handle(events[i].data.ptr, events[i].events);
        }
        while (dead_calls) {
            struct call *c = dead_calls;
            dead_calls = c->next_dead;
            free(c);
        }
    }
}
