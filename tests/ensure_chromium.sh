#!/bin/sh
# The browser tests drive a headless Chromium. Installs it where that is possible without asking anybody.
have() { command -v "$1" >/dev/null 2>&1; }

if { have chromium || have chromium-browser || have google-chrome; } && have chromedriver; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && have apt-get; then
    echo "installing chromium and chromedriver for the browser tests …"
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq >/dev/null && apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null
    then
        exit 0
    fi
fi
echo "Chromium and chromedriver are not here and cannot be installed by this user: the browser tests will be skipped."
echo "To run them too: install chromium and chromium-driver, then run make test again."
