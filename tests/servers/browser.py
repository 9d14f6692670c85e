"""A browser for BROWSER=: goes to a URL and follows where it is led; the certificate authority is in $SSL_CERT_FILE."""

import sys
import urllib.request

if __name__ == "__main__":
    print(urllib.request.urlopen(sys.argv[1], timeout=30).read().decode())
