#pragma once
#define CONFIG_CERTLESS_URL "http://192.0.2.7:8440/.gateway"
#define CONFIG_CERTLESS_NAME "fan-7"
