-- A webhook like GitHub's, for what listens to those already: the event's own bytes, and its type (its own
-- or its CloudEvent's) in a header. Secret: github_key, the webhook's secret.
-- {"type":"push","ref":"refs/heads/main","repository":{"full_name":"acme/shop"}}
local function sign(_, _, request)
  return "sha256=" .. hmac.sha256(secret "github_key", request.body)
end
return {
  method   = "POST",
  url      = "https://ci.acme.example/github-webhook/",
  headers  = { ["User-Agent"] = "GitHub-Hookshot/moonpost", ["X-GitHub-Event"] = "{ctx.type}",
               ["X-GitHub-Delivery"] = "{ctx.id}", ["X-Hub-Signature-256"] = sign },
  required = { "ctx.type" },
}
