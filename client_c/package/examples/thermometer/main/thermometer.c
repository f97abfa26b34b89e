/*
 * A thermometer for ESP-IDF. A person types the code of the operator once, at the console. After
 * that it reports every minute, also after a restart, and resumes when the session has ended.
 *
 * The network is that of protocol_examples_common; set it and the two values of "Certless" in
 * menuconfig. Encrypt NVS and the flash: a thief of the flash can act as the device. If the gateway
 * refuses the stored ticket, for example after a revocation, erase NVS and log in again.
 */
#include <stdint.h>
#include <stdio.h>

#include "certless.h"
#include "esp_err.h"
#include "esp_event.h"
#include "esp_http_client.h"
#include "esp_log.h"
#include "esp_netif.h"
#include "esp_random.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "nvs.h"
#include "nvs_flash.h"
#include "protocol_examples_common.h"
#include "sdkconfig.h"

static const char TAG[] = "thermometer";
static nvs_handle_t stored;
static certless_client client;
static uint8_t buffer[CERTLESS_LOGIN_BYTES];
static int status; /* of the last HTTP response; 0 if none came */

static uint64_t now_ms(void)
{
    return (uint64_t)esp_timer_get_time() / 1000u;
}

/* The hardware generator is good while Wi-Fi is on, and the client is used only then. */
static int entropy(void *context, uint8_t *out, size_t length)
{
    (void)context;
    esp_fill_random(out, length);
    return 0;
}

/* NVS keeps the old or the new value as a whole after a power cut. */
static int save(void *context, const uint8_t *state, size_t length)
{
    (void)context;
    return nvs_set_blob(stored, "state", state, length) != ESP_OK || nvs_commit(stored) != ESP_OK;
}

static const certless_config CONFIG = {CONFIG_CERTLESS_NAME, CERTLESS_DEFAULT_REALM,
                                       CERTLESS_COUNTER,     entropy, save, NULL};

/* POST the first `*length` bytes of the buffer, and put the body of the response there. */
static certless_error exchange(esp_http_client_handle_t http, size_t *length)
{
    if (esp_http_client_set_header(http, "Content-Type", CERTLESS_CONTENT_TYPE) != ESP_OK
        || esp_http_client_open(http, (int)*length) != ESP_OK)
        return CERTLESS_NO_CONNECTION;
    if (esp_http_client_write(http, (const char *)buffer, (int)*length) != (int)*length
        || esp_http_client_fetch_headers(http) < 0)
        return CERTLESS_NO_ANSWER;
    status = esp_http_client_get_status_code(http);
    if (status != 200)
        return CERTLESS_HTTP_REFUSED;
    int got = esp_http_client_read_response(http, (char *)buffer, (int)sizeof buffer);
    if (got < 0 || !esp_http_client_is_complete_data_received(http))
        return CERTLESS_NO_ANSWER;
    *length = (size_t)got;
    return CERTLESS_OK;
}

static certless_error post(const char *route, size_t *length)
{
    char url[256];
    status = 0;
    int n = snprintf(url, sizeof url, "%s%s", CONFIG_CERTLESS_URL, route);
    if (n < 0 || (size_t)n >= sizeof url)
        return CERTLESS_BAD_ARGUMENT;
    const esp_http_client_config_t config = {
        .url = url, .method = HTTP_METHOD_POST, .timeout_ms = 30000, .disable_auto_redirect = true};
    esp_http_client_handle_t http = esp_http_client_init(&config);
    if (http == NULL)
        return CERTLESS_NO_CONNECTION;
    certless_error error = exchange(http, length);
    (void)esp_http_client_cleanup(http);
    return error;
}

/* The second half of a login, and of a resumption. Its first message is in the buffer. */
static certless_error finish(size_t length)
{
    uint8_t confirmation[128];
    size_t n = 0;
    certless_error error = post(certless_route(&client), &length);
    if (error == CERTLESS_OK)
        error = certless_receive_share(&client, buffer, length, confirmation, sizeof confirmation, &n);
    if (error != CERTLESS_OK)
        return error;
    for (size_t i = 0; i < n; i++)
        buffer[i] = confirmation[i];
    error = post(certless_route(&client), &n);
    return error == CERTLESS_OK ? certless_receive_confirmation(&client, now_ms(), buffer, n) : error;
}

static certless_error resume(void)
{
    size_t length = 0;
    certless_error error = certless_begin_resumption(&client, buffer, sizeof buffer, &length);
    return error == CERTLESS_OK ? finish(length) : error;
}

static certless_error log_in(void)
{
    char typed[64];
    size_t length = 0;
    certless_error error = certless_begin_login(&client, buffer, sizeof buffer, &length);
    if (error == CERTLESS_OK)
        error = post(certless_route(&client), &length);
    if (error == CERTLESS_OK)
        error = certless_receive_hello(&client, buffer, length);
    if (error != CERTLESS_OK)
        return error;
    (void)printf("Code of the operator: ");
    (void)fflush(stdout);
    if (fgets(typed, sizeof typed, stdin) == NULL)
        return CERTLESS_NO_CODE;
    error = certless_enter_code(&client, typed, buffer, sizeof buffer, &length);
    return error == CERTLESS_OK ? finish(length) : error;
}

static certless_error send_once(const certless_request *request, certless_response *response)
{
    size_t length = 0;
    certless_error error =
        certless_seal(&client, now_ms(), request, buffer, sizeof buffer, &length);
    if (error == CERTLESS_OK)
        error = post("/message", &length);
    return error == CERTLESS_OK ? certless_open(&client, now_ms(), buffer, length, response) : error;
}

/* A PUT of a numbered reading does no harm if it is handled twice, so it can be sent again. */
static certless_error report(unsigned number, int degrees)
{
    char target[32], body[32];
    certless_response response = {.status = 0};
    static const certless_header headers[] = {{"Content-Type", "application/json"}};
    (void)snprintf(target, sizeof target, "/readings/%u", number);
    int length = snprintf(body, sizeof body, "{\"degrees\": %d}", degrees);
    const certless_request request = {"PUT", target, NULL, headers, 1, body, (size_t)length};
    certless_error error = CERTLESS_SESSION_ENDED;
    if (certless_has_session(&client, now_ms())) {
        error = send_once(&request, &response);
        if (error == CERTLESS_EPOCH_ENDED)
            error = send_once(&request, &response);
    }
    if (error == CERTLESS_SESSION_ENDED || (error == CERTLESS_HTTP_REFUSED && status == 403)) {
        /* The session has expired, or the gateway has lost it. */
        error = resume();
        if (error == CERTLESS_OK)
            error = send_once(&request, &response);
    }
    if (error == CERTLESS_OK)
        ESP_LOGI(TAG, "%u: status %u", number, response.status);
    return error;
}

/* Put your sensor here. */
static int read_degrees(void)
{
    return 21;
}

static void start(void)
{
    uint8_t state[CERTLESS_STATE_BYTES];
    size_t length = sizeof state;
    ESP_ERROR_CHECK(nvs_flash_init());
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    ESP_ERROR_CHECK(example_connect());
    ESP_ERROR_CHECK(example_configure_stdin_stdout());
    ESP_ERROR_CHECK(nvs_open("certless", NVS_READWRITE, &stored));
    ESP_ERROR_CHECK(certless_init(&client, &CONFIG) == CERTLESS_OK ? ESP_OK : ESP_FAIL);
    esp_err_t found = nvs_get_blob(stored, "state", state, &length);
    if (found == ESP_ERR_NVS_NOT_FOUND)
        return;
    ESP_ERROR_CHECK(found);
    certless_error error = certless_load(&client, now_ms(), state, length);
    if (error != CERTLESS_OK)
        ESP_LOGE(TAG, "stored state: %s", certless_error_text(error));
}

void app_main(void)
{
    start();
    for (unsigned number = 1;; number++) {
        certless_error error = certless_has_ticket(&client) ? CERTLESS_OK : log_in();
        if (error == CERTLESS_OK)
            error = report(number, read_degrees());
        if (error != CERTLESS_OK)
            ESP_LOGW(TAG, "%s (HTTP status %d)", certless_error_text(error), status);
        vTaskDelay(pdMS_TO_TICKS(60000));
    }
}
