-- Completion of `@file` in the input window: by itself behind an `@`, and by CTRL-X CTRL-U or
-- CTRL-X CTRL-O.

local M = {}

local api = vim.api
local MOST = 50

--- The beginning of a name behind `@`, before the cursor.
---@param line string up to the cursor
---@return integer? column of the `@`, from 0
---@return string? base
function M.base(line)
  local at, base = line:match('()@([^%s@"]*)$')
  if not at then
    at, base = line:match('()@"([^@"]*)$')
  end
  -- Somebody's address is no file.
  if at and (at == 1 or line:sub(at - 1, at - 1):find('[%s%(%[{,;:]')) then
    return at - 1, base
  end
end

--- The files that fit: those that are open in a window's buffer first if nothing is typed yet.
---@param base string
---@param folder string
---@param changed fun()?
---@return table[] as `complete-items`
function M.items(base, folder, changed)
  local list = require('codex.chat.files').get(folder, changed)
  local found
  if base == '' then
    local open, seen = {}, {}
    for _, buffer in ipairs(vim.fn.getbufinfo({ buflisted = 1 })) do
      local path = buffer.name ~= '' and require('codex.chat.words').path(buffer.name, folder)
      if path and not path:find('^[~/]') and vim.bo[buffer.bufnr].buftype == '' then
        table.insert(open, { path = path, used = buffer.lastused })
        seen[path] = true
      end
    end
    table.sort(open, function(a, b)
      return a.used > b.used
    end)
    found = vim.tbl_map(function(entry)
      return entry.path
    end, open)
    for _, path in ipairs(list) do
      if #found >= MOST then
        break
      elseif not seen[path] then
        table.insert(found, path)
      end
    end
  else
    found = vim.fn.matchfuzzy(list, base, { limit = MOST })
  end
  local name = require('codex.chat.items').name
  return vim.tbl_map(function(path)
    return { word = name(path), abbr = path, menu = '', icase = 1 }
  end, found)
end

---@return string
local function folder()
  return vim.b.codex_folder or vim.fn.getcwd()
end

---@return string line up to the cursor
local function before()
  return api.nvim_get_current_line():sub(1, api.nvim_win_get_cursor(0)[2])
end

--- As 'completefunc' and 'omnifunc'.
---@param findstart 0|1
---@param base string
---@return integer|table
function M.func(findstart, base)
  if findstart == 1 then
    return (M.base(before())) or -3
  end
  return M.items((base:gsub('^@"?', '')), folder(), M.offer)
end

--- Offer what fits to the name before the cursor, if there is one.
function M.offer()
  if api.nvim_get_mode().mode:sub(1, 1) ~= 'i' or vim.bo.filetype ~= 'codex_input' then
    return
  end
  local column, base = M.base(before())
  local menu = vim.fn.complete_info({ 'pum_visible', 'selected' })
  if not column or (menu.pum_visible == 1 and menu.selected >= 0) then
    return -- going through the menu changes the text, too
  end
  local items = M.items(base or '', folder(), M.offer)
  -- A name that is there as a whole needs no menu.
  if #items > 0 and not (#items == 1 and items[1].abbr == base) then
    vim.fn.complete(column + 1, items)
  elseif vim.fn.pumvisible() == 1 then
    vim.fn.complete(column + 1, {})
  end
end

--- Have completion in an input buffer.
---@param buffer integer
---@param root string
function M.attach(buffer, root)
  vim.b[buffer].codex_folder = root
  local func = "v:lua.require'codex.chat.complete'.func"
  vim.bo[buffer].completefunc = func
  vim.bo[buffer].omnifunc = func
  local is_local = pcall(function()
    -- Before 0.11 it is not: a menu that comes by itself would insert what it has first.
    vim.bo[buffer].completeopt = 'menuone,noinsert,noselect,fuzzy'
  end)
  local group = api.nvim_create_augroup('codex.chat.complete.' .. buffer, { clear = true })
  api.nvim_create_autocmd('InsertEnter', {
    group = group,
    buffer = buffer,
    callback = function()
      require('codex.chat.files').get(root)
    end,
  })
  if is_local then
    api.nvim_create_autocmd({ 'TextChangedI', 'TextChangedP' }, {
      group = group,
      buffer = buffer,
      callback = M.offer,
    })
  end
end

return M
