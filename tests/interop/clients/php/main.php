<?php
// PHP's curl extension: over TLS it offers h2 by ALPN.
$command = '';
$handle = curl_init();
while (($line = fgets(STDIN)) !== false) {
    [$call, $method, $path, $authorised, $key, $body] = explode("\t", rtrim($line, "\n"));
    $headers = [];
    if ($authorised === '1') {
        $headers[] = 'Authorization: Bearer ' . getenv('INTEROP_KEY');
    }
    if ($body !== '') {
        $headers[] = 'Content-Type: application/json';
    }
    if ($key !== '') {
        array_push($headers, "Idempotency-Key: $key", 'Prefer: wait=10');
    }
    $id = '';
    curl_reset($handle); // keeps the connection
    curl_setopt_array($handle, [
        CURLOPT_URL => getenv('INTEROP_URL') . str_replace('{id}', $command, $path),
        CURLOPT_CUSTOMREQUEST => $method,
        CURLOPT_HTTPHEADER => $headers,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_PROXY => '',
        CURLOPT_HEADERFUNCTION => function ($handle, $header) use (&$id) {
            if (preg_match('/^request-id:\s*(\S+)/i', $header, $found)) {
                $id = $found[1];
            }
            return strlen($header);
        },
    ]);
    if ($body !== '') {
        curl_setopt($handle, CURLOPT_POSTFIELDS, $body);
    }
    if (getenv('INTEROP_CA')) {
        curl_setopt($handle, CURLOPT_CAINFO, getenv('INTEROP_CA'));
    }
    $text = curl_exec($handle);
    $status = curl_getinfo($handle, CURLINFO_RESPONSE_CODE);
    if ($text === false) {
        [$status, $text] = [0, curl_error($handle)];
    }
    if ($call === 'command') {
        $command = $id;
    }
    echo json_encode(['call' => $call, 'status' => $status, 'body' => $text], JSON_UNESCAPED_UNICODE), "\n";
}
