# openssl: digests, ciphers, keys, signatures and certificates.
# needs: openssl seq
seq 1 100000 >data
openssl dgst -sha256 data
openssl enc -aes-256-cbc -pbkdf2 -pass pass:word -in data -out data.enc
openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:word -in data.enc | cmp - data && echo same
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem 2>/dev/null
openssl pkey -in key.pem -pubout -out public.pem
openssl dgst -sha256 -sign key.pem -out signature data
openssl dgst -sha256 -verify public.pem -signature signature data
openssl req -x509 -new -key key.pem -subj /CN=example.org -days 1 -out certificate.pem
openssl x509 -in certificate.pem -noout -subject
openssl verify -CAfile certificate.pem certificate.pem
openssl base64 -in data | cksum
openssl ciphers -v | wc -l
