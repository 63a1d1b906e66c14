-- An order's confirmation in cXML, as procurement networks (Ariba, Coupa, …) take it. Whether it was taken
-- is said in the answer's XML, not by its status. Secret: cxml_secret, the shared secret.
-- {"order":"PO-17","payload":"1769853600.17@buyer.example","number":"C-1","time":"2026-01-31T10:00:00Z"}
local document = [[
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE cXML SYSTEM "http://xml.cxml.org/schemas/cXML/1.2.060/Fulfill.dtd">
<cXML payloadID="{ctx.id}@acme.example" timestamp="{time}">
  <Header>
    <From><Credential domain="DUNS"><Identity>942888711</Identity></Credential></From>
    <To><Credential domain="NetworkId"><Identity>AN01000000001</Identity></Credential></To>
    <Sender>
      <Credential domain="DUNS"><Identity>942888711</Identity>
        <SharedSecret>]] .. secret "cxml_secret" .. [[</SharedSecret></Credential>
      <UserAgent>Moonpost</UserAgent>
    </Sender>
  </Header>
  <Request>
    <ConfirmationRequest>
      <ConfirmationHeader confirmID="{number}" type="accept" noticeDate="{time}"/>
      <OrderReference orderID="{order}"><DocumentReference payloadID="{payload}"/></OrderReference>
    </ConfirmationRequest>
  </Request>
</cXML>
]]
local function verdict(response)
  local status = response.body:match("<Status%s([^>]*)") or ""
  local class = status:match("code=.(%d)")
  if class == "5" then return "retry" end
  if class == "4" then return "dead", status:match('text="([^"]*)') or status end
end
return {
  url      = "https://orders.buyer.example/cxml",
  headers  = { ["Content-Type"] = "text/xml; charset=UTF-8" },
  required = { "order", "payload", "number", "time" },
  body     = xml(document),
  verdict  = verdict,
}
