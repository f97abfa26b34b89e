/*
 * A pump on a Cortex-M3 without an operating system. The factory has flashed it with a ticket, so nobody types a code:
 *
 *     certless ticket issue plant-3 --device pump-7 --out ticket.h
 *     make pump KIND=cortex-m3 TICKET=. PUMP=pump.elf
 *     qemu-system-arm -M mps2-an385 -nographic -monitor none -serial tcp:GATEWAY:PORT \
 *         -semihosting-config enable=on,target=native -kernel pump.elf
 *
 * It resumes with the ticket, or continues its session, and reports three readings.
 *
 * The network is a serial line to a modem that passes bytes to the gateway, as many Wi-Fi modules do. QEMU is the modem
 * here. For your board, replace the part between the two lines of dashes: the line, the clock, the random bytes and the
 * storage. A product also waits and tries again, as thermometer.c does with certless_after_resumption.
 */
#include "certless.h"
#include "ticket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static certless_client client;
static uint8_t buffer[CERTLESS_LOGIN_BYTES];

/* --- the board --- */

/* The serial line of mps2-an385: data, what is full, and what is on. */
#define LINE_DATA (*(volatile uint32_t *)0x40004000u)
#define LINE_STATE (*(volatile uint32_t *)0x40004004u)
#define LINE_CONTROL (*(volatile uint32_t *)0x40004008u)
#define LINE_DIVIDER (*(volatile uint32_t *)0x40004010u)
#define TIMER_CONTROL (*(volatile uint32_t *)0xe000e010u)
#define TIMER_RELOAD (*(volatile uint32_t *)0xe000e014u)

#define CLOCK_HZ 25000000u
#define PATIENCE_MS 10000u

static volatile uint32_t milliseconds;

void SysTick_Handler(void);
void SysTick_Handler(void)
{
    milliseconds++;
}

static void start_board(void)
{
    LINE_DIVIDER = 16;
    LINE_CONTROL = 3;
    TIMER_RELOAD = CLOCK_HZ / 1000u - 1u;
    TIMER_CONTROL = 7; /* on, with an interrupt, at the clock of the processor */
}

/* A product needs more than 32 bits: they end after 49 days. */
static uint64_t now_ms(void)
{
    return milliseconds;
}

static void put_byte(uint8_t byte)
{
    while ((LINE_STATE & 1u) != 0) {
    }
    LINE_DATA = byte;
}

/* -1 if none came in time. */
static int take_byte(void)
{
    uint32_t began = milliseconds;
    while ((LINE_STATE & 2u) == 0)
        if (milliseconds - began > PATIENCE_MS)
            return -1;
    return (int)(LINE_DATA & 0xffu);
}

/* The debugger gives random bytes of the PC. A product takes them from its hardware generator. */
static int entropy(void *context, uint8_t *out, size_t length)
{
    (void)context;
    FILE *file = fopen("/dev/urandom", "rb");
    if (file == NULL)
        return 1;
    size_t got = fread(out, 1, length, file);
    (void)fclose(file);
    return got != length;
}

/* The debugger renames a file: request 15 of Arm's semihosting. newlib's rename() needs links, which it has not. */
static int replace_file(const char *with, const char *name)
{
    const struct {
        const char *from;
        size_t from_length;
        const char *to;
        size_t to_length;
    } names = {with, strlen(with), name, strlen(name)};
    register int result __asm__("r0") = 15;
    register const void *given __asm__("r1") = &names;
    __asm__ volatile("bkpt 0xab" : "+r"(result) : "r"(given) : "memory");
    return result;
}

/* A file of the PC, which is replaced as a whole. A product writes to two places of its flash in turn. */
static int save(void *context, const uint8_t *state, size_t length)
{
    (void)context;
    FILE *file = fopen("pump.new", "wb");
    if (file == NULL)
        return 1;
    size_t put = fwrite(state, 1, length, file);
    return fclose(file) != 0 || put != length || replace_file("pump.new", "pump.state") != 0;
}

/* 0 if nothing is stored yet. */
static size_t stored(uint8_t *state, size_t length)
{
    FILE *file = fopen("pump.state", "rb");
    if (file == NULL)
        return 0;
    size_t got = fread(state, 1, length, file);
    (void)fclose(file);
    return got;
}

/* --- HTTP over the line --- */

static void put_text(const char *text)
{
    while (*text != 0)
        put_byte((uint8_t)*text++);
}

/* A line of the head without its end. What is longer than `line` is dropped. */
static int take_line(char *line, size_t capacity)
{
    size_t length = 0;
    for (;;) {
        int c = take_byte();
        if (c < 0)
            return 0;
        if (c == '\n')
            break;
        if (c != '\r' && length + 1 < capacity)
            line[length++] = (char)c;
    }
    line[length] = 0;
    return 1;
}

static int begins(const char *line, const char *with)
{
    for (; *with != 0; line++, with++)
        if ((*line | 0x20) != (*with | 0x20))
            return 0;
    return 1;
}

/* POST the first `*length` bytes of the buffer, and put the body of the response there. */
static certless_error post(const char *route, size_t *length)
{
    char line[80];
    size_t left = 0;
    (void)snprintf(line, sizeof line, "Content-Length: %u\r\n\r\n", (unsigned)*length);
    put_text("POST " CERTLESS_PREFIX);
    put_text(route);
    put_text(" HTTP/1.1\r\nHost: gateway\r\nContent-Type: " CERTLESS_CONTENT_TYPE "\r\n");
    put_text(line);
    for (size_t i = 0; i < *length; i++)
        put_byte(buffer[i]);
    if (!take_line(line, sizeof line))
        return CERTLESS_NO_ANSWER;
    int is_good = begins(line, "HTTP/1.1 200");
    while (take_line(line, sizeof line) && line[0] != 0)
        if (begins(line, "content-length:"))
            left = (size_t)strtoul(line + sizeof "content-length:" - 1, NULL, 10);
    if (left > sizeof buffer)
        return CERTLESS_BUFFER_TOO_SMALL;
    for (size_t i = 0; i < left; i++) {
        int byte = take_byte();
        if (byte < 0)
            return CERTLESS_NO_ANSWER;
        buffer[i] = (uint8_t)byte;
    }
    *length = left;
    return is_good ? CERTLESS_OK : CERTLESS_HTTP_REFUSED;
}

/* --- the pump --- */

static const certless_config CONFIG = {
    CERTLESS_TICKET_USERNAME, CERTLESS_TICKET_REALM, CERTLESS_COUNTER, entropy, save, NULL, NULL};

/* What was stored, or the ticket of the factory. */
static certless_error load(void)
{
    uint8_t state[CERTLESS_STATE_BYTES];
    size_t length = stored(state, sizeof state);
    if (length > 0)
        return certless_load(&client, now_ms(), state, length);
    return certless_load(&client, now_ms(), certless_ticket_state, sizeof certless_ticket_state);
}

static certless_error resume(void)
{
    uint8_t confirmation[128];
    size_t length = 0, n = 0;
    certless_error error = certless_begin_resumption(&client, buffer, sizeof buffer, &length);
    if (error == CERTLESS_OK)
        error = post(certless_route(&client), &length);
    if (error == CERTLESS_OK)
        error = certless_receive_share(&client, buffer, length, confirmation, sizeof confirmation, &n);
    if (error != CERTLESS_OK)
        return error;
    memcpy(buffer, confirmation, n);
    error = post(certless_route(&client), &n);
    return error == CERTLESS_OK ? certless_receive_confirmation(&client, now_ms(), buffer, n) : error;
}

static certless_error report(unsigned number)
{
    char target[32];
    size_t length = 0;
    certless_response response = {0};
    (void)snprintf(target, sizeof target, "/readings/%u", number);
    const certless_request reading = {"PUT", target, NULL, NULL, 0, "{\"bar\": 4}", 10};
    certless_error error =
        certless_seal(&client, now_ms(), &reading, buffer, sizeof buffer, &length);
    if (error == CERTLESS_OK)
        error = post("/message", &length);
    if (error == CERTLESS_OK)
        error = certless_open(&client, now_ms(), buffer, length, &response);
    if (error == CERTLESS_OK)
        (void)printf("%u: status %u\n", number, response.status);
    return error;
}

int main(void)
{
    start_board();
    certless_error error = certless_init(&client, &CONFIG);
    if (error == CERTLESS_OK)
        error = load();
    if (error == CERTLESS_OK && !certless_has_session(&client, now_ms())) {
        error = resume();
        if (error == CERTLESS_OK)
            (void)printf("resumed\n");
    }
    for (unsigned number = 1; error == CERTLESS_OK && number <= 3; number++)
        error = report(number);
    if (error != CERTLESS_OK)
        (void)printf("%s\n", certless_error_text(error));
    return error != CERTLESS_OK;
}
