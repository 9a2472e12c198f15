-- The editor's side of codex-rpc on Neovim's own LSP client; runs in the Neovim that is driven.

local M = {
  ---@type table[] the messages of `session/event`, in order
  events = {},
  ---@type table[] the parameters of every `workspace/applyEdit`
  edits = {},
  ---@type table[] the parameters of every `codex/saveDocuments`
  saves = {},
  ---@type table<string, function> by event type: what the user does when it comes, once
  on_event = {},
  ---@type function? what happens in the moment in which an edit comes, once
  before_edit = nil,
}

local function on_event(_, params)
  table.insert(M.events, params)
  local act = M.on_event[params.msg.type]
  if act then
    M.on_event[params.msg.type] = nil
    act(params.msg)
  end
end

local function on_apply_edit(err, params, context)
  table.insert(M.edits, params)
  local act = M.before_edit
  M.before_edit = nil
  if act then
    act()
  end
  return vim.lsp.handlers['workspace/applyEdit'](err, params, context)
end

local function on_save_documents(_, params)
  table.insert(M.saves, params)
  for _, uri in ipairs(params.uris) do
    vim.api.nvim_buf_call(vim.uri_to_bufnr(uri), function()
      vim.cmd('silent write')
    end)
  end
  return { saved = params.uris }
end

--- Start `codex-rpc` for the current buffer, and open a session in the current folder.
---@param options table `encoding`: the only one that is offered; `init_options`
function M.start(options)
  local capabilities = vim.lsp.protocol.make_client_capabilities()
  if options.encoding then
    capabilities.general.positionEncodings = { options.encoding }
  end
  local id = assert(vim.lsp.start({
    name = 'codex-rpc',
    cmd = { vim.env.CODEX_RPC },
    root_dir = vim.fn.getcwd(),
    init_options = options.init_options,
    capabilities = capabilities,
    handlers = {
      ['session/event'] = on_event,
      ['workspace/applyEdit'] = on_apply_edit,
      ['codex/saveDocuments'] = on_save_documents,
    },
    on_init = function(client)
      client:request('session/configure', { cwd = vim.fn.getcwd() }, function(err, result)
        assert(not err, vim.inspect(err))
        M.session = result
      end)
    end,
    on_exit = function(code, signal)
      M.exit = { code = code, signal = signal }
    end,
  }))
  M.client = assert(vim.lsp.get_client_by_id(id))
end

--- Submit an operation; what is refused shows in `refused`.
---@param op table
function M.submit(op)
  local params = { sessionId = M.session.sessionId, op = op }
  M.client:request('session/submit', params, function(err)
    M.refused = err
  end)
end

--- Say something, and point at a file if one is given.
---@param text string
---@param path string?
function M.say(text, path)
  local items = { { type = 'text', text = text } }
  if path then
    table.insert(items, 1, { type = 'mention', path = path })
  end
  M.submit({ type = 'user_input', items = items })
end

--- Answer a request for approval of a patch.
---@param msg table
function M.approve(msg)
  M.submit({ type = 'patch_approval', id = msg.call_id, decision = 'approved' })
end

--- How many events of a type have come.
---@param type string
---@return integer
function M.count(type)
  return #vim.tbl_filter(function(event)
    return event.msg.type == type
  end, M.events)
end

return M
