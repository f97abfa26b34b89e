/* A program that uses the whole client, to measure its code (client_c/costs.sh). It is linked, and never run. */
#include "certless.h"

certless_client client;
void *const uses[] = {
    (void *)certless_init, (void *)certless_load, (void *)certless_begin_login, (void *)certless_receive_hello,
    (void *)certless_enter_code, (void *)certless_begin_resumption, (void *)certless_receive_share,
    (void *)certless_receive_confirmation, (void *)certless_seal, (void *)certless_open, (void *)certless_next_header,
    (void *)certless_error_text, (void *)certless_route, (void *)certless_seal_for_stream,
    (void *)certless_seal_upload, (void *)certless_open_stream, (void *)certless_await_response,
    (void *)certless_stream_route, (void *)certless_salt_stream, (void *)certless_max_data,
    (void *)certless_send_data, (void *)certless_send_ping, (void *)certless_send_end,
    (void *)certless_record_length, (void *)certless_receive_record, (void *)certless_end_stream,
    (void *)certless_wipe, (void *)certless_has_ticket, (void *)certless_has_session,
    (void *)certless_after_resumption, (void *)certless_after_message};
